/** What replication may use of the node it runs in. */

import type { ReplicateEvent } from '../contract/events.ts';
import type { CarpState } from '../contract/values.ts';
import type { LinkInfo } from '../kernel/links.ts';
import type { TableName } from '../kernel/nft-scan.ts';
import type { SharedDocument } from './document.ts';
import type { Prepared, PrepareResult } from './prepared.ts';

export interface ReplicatePorts {
  /** What is in force now. */
  current(): Prepared;
  links(): readonly LinkInfo[];
  /** This node's own file with these shared parts; null: with none. */
  candidate(shared: SharedDocument | null): PrepareResult;
  /** Would the kernel take these rules? Nothing changes. Resolves with why not. */
  checkRules(prepared: Prepared): Promise<string | null>;
  /**
   * Takes a configuration over, never at the same time as another. Resolves with why it could not; then nothing
   * changed.
   */
  change(prepared: Prepared): Promise<string | null>;
  /** The rules in force as text, and the tables that they make. */
  rules(): { text: string | null; tables: readonly TableName[] };
  /** The rules that this configuration names, read now. @throws Error in one line */
  rulesOf(prepared: Prepared): string | null;
  /** By `role/vhid`. */
  roles(): Record<string, CarpState>;
  publish(event: ReplicateEvent): void;
  warn(message: string): void;
}

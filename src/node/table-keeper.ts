/**
 * Looks after the nftables tables that this node has made. Another program may flush them (a distribution's
 * nftables.conf begins with `flush ruleset`): it is noticed within a second, said, and they are made again. As long as
 * they cannot be, this node stands back.
 */
import type { FirewallEvent } from '../contract/events.ts';
import { messageOf } from '../contract/message-of.ts';
import type { TableName } from '../kernel/nft-scan.ts';
import { type TablePrint, tableText } from '../kernel/nft-tables.ts';

const LOOK_MS = 200;
/** After an attempt that failed. */
const AGAIN_MS = 1000;
/** The name of the demotion, and its weight: the peer shall lead, whatever else is wrong there. */
const REASON = 'rules';
const WEIGHT = 240;

/** Tables that are made by one act. */
export interface KeptTables {
  /** `whole`: any change of its chains counts as a loss; else only that the table is gone, or another has its name. */
  tables(): readonly { table: TableName; whole: boolean }[];
  /** Makes them again. @returns null, or why it could not */
  make(): Promise<string | null>;
}

interface TableKeeperPorts {
  publish(event: FirewallEvent): void;
  demote(reason: string, weight: number): void;
  undemote(reason: string): void;
  warn(message: string): void;
  nowMs(): number;
}

/** What is asked of the kernel. */
interface TableSource {
  generation(): number;
  read(): ReadonlyMap<string, TablePrint>;
  close(): void;
}

export class TableKeeper {
  readonly #kept: readonly KeptTables[];
  readonly #ports: TableKeeperPorts;
  readonly #kernel: TableSource;
  #known: ReadonlyMap<string, TablePrint> = new Map();
  #seen = -1;
  #held = 0;
  #busy = false;
  #closed = false;
  #nextMs = 0;
  /** Since when tables are missing, by their texts; null: none are. */
  #lost: { tables: string[]; sinceMs: number } | null = null;
  #demoted = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(kept: readonly KeptTables[], kernel: TableSource, ports: TableKeeperPorts) {
    this.#kept = kept;
    this.#kernel = kernel;
    this.#ports = ports;
  }

  /** What the kernel has now is what it shall have. */
  begin(): void {
    this.#learn();
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /** This node changes its tables itself: nothing is compared until `settle`. */
  hold(): void {
    this.#held++;
  }

  settle(): void {
    this.#held--;
    // As long as tables are missing, what there is now is not what there shall be.
    if (this.#lost === null) this.#learn(true);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#kernel.close();
  }

  /** Compares when anything has changed, and makes again what is lost. Never rejects. */
  async look(): Promise<void> {
    if (this.#held > 0 || this.#busy || this.#closed || this.#ports.nowMs() < this.#nextMs) return;
    this.#busy = true;
    try {
      const generation = this.#kernel.generation();
      if (generation === this.#seen && this.#lost === null) return;
      const groups = this.#missing();
      this.#seen = generation;
      if (groups.length > 0) await this.#makeAgain(groups);
      else if (this.#lost !== null) this.#back();
    } catch (error) {
      this.#nextMs = this.#ports.nowMs() + AGAIN_MS;
      this.#ports.warn(`the nftables tables cannot be looked at: ${messageOf(error)}`);
    } finally {
      this.#busy = false;
    }
  }

  #missing(): { kept: KeptTables; tables: string[] }[] {
    const now = this.#kernel.read();
    return this.#kept.flatMap((kept) => {
      const gone = kept.tables().filter(({ table, whole }) => {
        const [is, was] = [now.get(tableText(table)), this.#known.get(tableText(table))];
        // One that was not there after the load either is named in the file, and removed by it.
        if (was === undefined) return false;
        return is === undefined || is.handle !== was.handle || (whole && is.content !== was.content);
      });
      return gone.length === 0 ? [] : [{ kept, tables: gone.map(({ table }) => tableText(table)) }];
    });
  }

  async #makeAgain(groups: readonly { kept: KeptTables; tables: string[] }[]): Promise<void> {
    const tables = groups.flatMap((group) => group.tables);
    if (this.#lost === null) {
      this.#lost = { tables, sinceMs: this.#ports.nowMs() };
      this.#ports.publish({ kind: 'firewall.lost', tables });
    }
    const failed: string[] = [];
    for (const { kept } of groups) {
      const said = await kept.make();
      if (said !== null) failed.push(said);
    }
    if (this.#closed) return;
    if (failed.length === 0) {
      this.#learn();
      this.#back();
      return;
    }
    this.#nextMs = this.#ports.nowMs() + AGAIN_MS;
    if (!this.#demoted) {
      this.#demoted = true;
      this.#ports.demote(REASON, WEIGHT);
    }
    this.#ports.publish({ kind: 'firewall.failed', tables, reason: failed.join('; ') });
  }

  #back(): void {
    const { tables, sinceMs } = this.#lost ?? { tables: [], sinceMs: this.#ports.nowMs() };
    this.#lost = null;
    if (this.#demoted) this.#ports.undemote(REASON);
    this.#demoted = false;
    this.#ports.publish({ kind: 'firewall.back', tables, ms: Math.round(this.#ports.nowMs() - sinceMs) });
  }

  /** @param watchful a table that is missing now was there before the change: somebody else has removed it meanwhile */
  #learn(watchful = false): void {
    if (this.#closed) return;
    try {
      this.#seen = this.#kernel.generation();
      const known = new Map(this.#kernel.read());
      const missing = this.#kept.flatMap((kept) => kept.tables()).map(({ table }) => tableText(table));
      for (const table of watchful ? missing.filter((one) => !known.has(one)) : []) {
        const was = this.#known.get(table);
        if (was === undefined) continue;
        known.set(table, was);
        this.#seen = -1;
      }
      this.#known = known;
    } catch (error) {
      this.#ports.warn(`the nftables tables cannot be looked at: ${messageOf(error)}`);
    }
  }
}

/** What an import takes and gives. */

import type { Draft } from './draft.ts';
import type { Entry, Ledger } from './ledger.ts';

export const KINDS = ['pfsense', 'keepalived', 'conntrackd'] as const;
export type ImportKind = (typeof KINDS)[number];

export interface ImportOptions {
  /** This node's name; left out: the input's, else fw-a. */
  name?: string;
  /** role -> device of the new box. */
  devices?: ReadonlyMap<string, string>;
  /** conntrackd.conf beside keepalived.conf: the two together are one carpio.toml. */
  conntrackd?: { text: string; file: string };
}

export interface Imported {
  draft: Draft;
  /** nftables text, or null where the input has no rules. */
  nft: string | null;
  ledger: Ledger;
}

export type ReadResult = { ok: true; imported: Imported } | { ok: false; line: number; error: string; file?: string };

export interface ImportReport {
  kind: ImportKind;
  file: string;
  counts: { translated: number; approximated: number; not_needed: number; left_out: number };
  /** In the order of the input. */
  entries: Entry[];
  advice: string[];
}

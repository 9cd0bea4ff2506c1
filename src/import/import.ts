/** Another product's configuration as Carpio's: text in; carpio.toml, rules and a report out. Pure. */

import { readConntrackd } from './conntrackd/import.ts';
import { readKeepalived } from './keepalived/import.ts';
import type { Ledger } from './ledger.ts';
import { readPfsense } from './pfsense/import.ts';
import type { ImportKind, ImportOptions, ImportReport, ReadResult } from './result.ts';
import { tomlText } from './toml-text.ts';

export type ImportResult =
  | {
      ok: true;
      /** carpio.toml; `secrets: false` writes paths of password files in place of passwords. */
      toml(options: { secrets: boolean; rulesPath: string }): string;
      nft: string | null;
      report: ImportReport;
    }
  | { ok: false; error: string };

const READERS: Readonly<Record<ImportKind, (text: string, options: ImportOptions) => ReadResult>> = {
  pfsense: readPfsense,
  keepalived: readKeepalived,
  conntrackd: readConntrackd,
};

function reportOf(kind: ImportKind, file: string, ledger: Ledger): ImportReport {
  const counts = {
    translated: ledger.count('translated'),
    approximated: ledger.count('approximated'),
    not_needed: ledger.count('not needed'),
    left_out: ledger.count('left out'),
  };
  const entries = [...ledger.entries].sort((a, b) => (a.file ?? '').localeCompare(b.file ?? '') || a.line - b.line);
  return { kind, file, counts, entries, advice: ledger.advice };
}

export function countsText({ counts }: ImportReport): string {
  const { translated, approximated, not_needed, left_out } = counts;
  return `${translated} translated, ${approximated} approximated, ${not_needed} not needed, ${left_out} left out`;
}

/**
 * @param file the input's name, for the report and the head of the output
 * Never throws; `error` is one line with file and line.
 */
export function importConfig(kind: ImportKind, text: string, file: string, options: ImportOptions = {}): ImportResult {
  const read = READERS[kind](text, options);
  if (!read.ok) return { ok: false, error: `${read.file ?? file}:${read.line}: ${read.error}` };
  const { draft, nft, ledger } = read.imported;
  const report = reportOf(kind, file, ledger);
  const head = [
    `Made by carpio import ${kind} from ${[file, ...(options.conntrackd ? [options.conntrackd.file] : [])].join(' and ')}: ${countsText(report)}.`,
    'Read it before you use it; docs/configuration.md says what each key means. This file may hold passwords: chmod 600.',
  ];
  return { ok: true, toml: (how) => tomlText(draft, { head, ...how }), nft, report };
}

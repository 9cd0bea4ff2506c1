/** The report of an import for a person: what became of every element, line by line, and the summary. Pure. */

import { countsText } from './import.ts';
import type { Outcome } from './ledger.ts';
import type { ImportReport } from './result.ts';

const ORDER: readonly Outcome[] = ['left out', 'approximated', 'translated', 'not needed'];

/** One line for each element, those that need a look first; the counts are the last line. */
export function reportLines(report: ImportReport): string[] {
  const lines: string[] = [];
  for (const outcome of ORDER) {
    for (const entry of report.entries.filter((one) => one.outcome === outcome)) {
      const detail = entry.detail === '' ? '' : `: ${entry.detail}`;
      lines.push(`${entry.file ?? report.file}:${entry.line}: ${outcome}: ${entry.what}${detail}`);
    }
  }
  return [...lines, ...report.advice.map((text) => `note: ${text}`), countsText(report)];
}

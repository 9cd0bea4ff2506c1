/** Plain text tables for people and for the README. */
import type { PhaseResult } from './phases.ts';

const number = (value: number | null): string =>
  value === null ? '-' : Number(value.toFixed(1)).toLocaleString('en-US');

const HEAD = [
  'phase',
  'longest gap, ms',
  'probes lost',
  'connections alive',
  'all working after, ms',
  'in step after, ms',
  'sync bytes',
];

/** First column left, the rest right. */
function layout(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_cell, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
}

export function phaseTable(results: readonly PhaseResult[]): string {
  const rows = results.map((one) => [
    one.phase,
    number(one.gap_ms),
    `${number(one.lost)} of ${number(one.sent)}`,
    `${one.alive} of ${one.count}`,
    number(one.worked_ms),
    number(one.in_step_ms),
    number(one.sync_bytes),
  ]);
  const lines = layout([HEAD, ...rows]);
  lines.splice(1, 0, '-'.repeat(lines[0]!.length));
  for (const one of results) for (const note of one.notes) lines.push(`  ${one.phase}: ${note}`);
  return lines.join('\n');
}

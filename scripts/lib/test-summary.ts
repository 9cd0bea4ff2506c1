/** Reads what a test file printed: uvu's summary, reasons of skips; and what to make of a file that printed none. */

export interface FileResult {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  /** One line each, from `skip: REASON` lines. */
  skipReasons: string[];
  /** Why the file itself counts as a failure (crash, time limit, no summary), or null. */
  trouble: string | null;
  output: string;
  ms: number;
}

export interface Ending {
  code: number | null;
  signal: string | null;
  /** The time limit in s when it was reached, else null. */
  timedOutAfter: number | null;
}

const COLOURS = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/**
 * @param output standard output and error of one file, as it came
 * @returns counts; a file that ended badly without a counted failure has `trouble` and one failure
 */
export function judge(file: string, output: string, ending: Ending, ms: number): FileResult {
  const text = output.replace(COLOURS, '');
  const total = sum(text, 'Total');
  const passed = sum(text, 'Passed');
  const counted = sum(text, 'Skipped') ?? 0;
  const reasons = [...text.matchAll(/^\s*(?:#\s*)?skip:\s*(\S.*)$/gim)].map((match) => (match[1] ?? '').trim());
  const failedTests = (total ?? 0) - (passed ?? 0);
  const trouble = troubleOf(ending, total !== null || reasons.length > 0, failedTests);
  const skipped = Math.max(counted, reasons.length);
  const skipReasons = [...reasons];
  while (skipReasons.length < skipped) skipReasons.push('no reason given (a test left with .skip or beside an .only)');
  return {
    file,
    passed: passed ?? 0,
    failed: failedTests + (trouble ? 1 : 0),
    skipped,
    skipReasons,
    trouble,
    output,
    ms,
  };
}

function troubleOf(ending: Ending, saidSomething: boolean, failedTests: number): string | null {
  if (ending.timedOutAfter !== null) return `time limit of ${ending.timedOutAfter} s reached`;
  if (ending.signal !== null) return `ended by ${ending.signal}`;
  if (!saidSomething) return `exit ${ending.code}, no summary printed: nothing is known of its tests`;
  if (ending.code !== 0 && failedTests === 0) return `exit ${ending.code} although no test failed`;
  return null;
}

/** uvu prints one summary per run of its queue; a file that registers suites late has several. Null: none at all. */
function sum(text: string, word: string): number | null {
  const found = [...text.matchAll(new RegExp(`^ {2}${word}:\\s+(\\d+)`, 'gm'))];
  return found.length === 0 ? null : found.reduce((all, match) => all + Number(match[1]), 0);
}

/** The last line of a test run. */
export function lastLine(results: readonly FileResult[]): string {
  const count = (key: 'passed' | 'failed' | 'skipped') => results.reduce((all, result) => all + result[key], 0);
  const skipped = count('skipped');
  return `${count('passed')} passed, ${count('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

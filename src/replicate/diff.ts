/** The difference of two lists of shared keys, and of two texts, in lines for people. Pure, and bounded in time. */
import type { Json } from '../contract/values.ts';
import { type Entries, isSecret } from './document.ts';

export type Change =
  | { key: string; kind: 'added'; now: Json }
  | { key: string; kind: 'removed'; was: Json }
  | { key: string; kind: 'changed'; was: Json; now: Json };

/** From `was` to `now`, sorted by key. */
export function diffEntries(was: Entries, now: Entries): Change[] {
  const keys = [...new Set([...Object.keys(was), ...Object.keys(now)])].sort();
  return keys.flatMap((key): Change[] => {
    const [before, after] = [was[key], now[key]];
    if (before === undefined && after === undefined) return [];
    if (before === undefined) return [{ key, kind: 'added', now: after! }];
    if (after === undefined) return [{ key, kind: 'removed', was: before }];
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ key, kind: 'changed', was: before, now: after }];
  });
}

/** Cells of the table of common lines that are filled at most; beyond, a block is shown as replaced as a whole. */
const MOST_CELLS = 1_000_000;

/**
 * `-12 old line` and `+12 new line`, with the line's number in its own text, in reading order.
 * @param most lines at most; what is over is counted in a last line
 */
export function diffLines(was: readonly string[], now: readonly string[], most = 40): string[] {
  let start = 0;
  while (start < was.length && start < now.length && was[start] === now[start]) start++;
  let end = 0;
  while (
    end < was.length - start &&
    end < now.length - start &&
    was[was.length - 1 - end] === now[now.length - 1 - end]
  ) {
    end++;
  }
  const lines = middle(was.slice(start, was.length - end), now.slice(start, now.length - end), start + 1);
  if (lines.length <= most) return lines;
  return [...lines.slice(0, most), `… and ${lines.length - most} more lines differ`];
}

function middle(was: readonly string[], now: readonly string[], first: number): string[] {
  const removed = (i: number): string => `-${first + i} ${was[i]}`;
  const added = (i: number): string => `+${first + i} ${now[i]}`;
  if (was.length * now.length > MOST_CELLS) return [...was.map((_, i) => removed(i)), ...now.map((_, i) => added(i))];
  const common = commonLengths(was, now);
  const out: string[] = [];
  let [i, j] = [0, 0];
  while (i < was.length || j < now.length) {
    if (i < was.length && j < now.length && was[i] === now[j]) {
      i++;
      j++;
    } else if (j >= now.length || (i < was.length && common(i + 1, j) >= common(i, j + 1))) out.push(removed(i++));
    else out.push(added(j++));
  }
  return out;
}

/** How many lines the rests from i and j have in common, in order. */
function commonLengths(was: readonly string[], now: readonly string[]): (i: number, j: number) => number {
  const width = now.length + 1;
  const table = new Uint32Array((was.length + 1) * width);
  for (let i = was.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      table[i * width + j] =
        was[i] === now[j]
          ? table[(i + 1) * width + j + 1]! + 1
          : Math.max(table[(i + 1) * width + j]!, table[i * width + j + 1]!);
    }
  }
  return (i, j) => table[i * width + j]!;
}

const LONGEST = 200;
const short = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
const shown = (value: Json): string => short(typeof value === 'string' ? value : JSON.stringify(value));

/** The changes as lines: one a key; texts of several lines as their differing lines. Pass phrases are never shown. */
export function describeChanges(changes: readonly Change[], most = 200): string[] {
  const lines = changes.flatMap(describe);
  return lines.length <= most ? lines : [...lines.slice(0, most), `… and ${lines.length - most} more`];
}

function describe(change: Change): string[] {
  const { key } = change;
  if (isSecret(key)) return [`${key}: ${change.kind === 'removed' ? 'removed' : 'another pass phrase'}`];
  const was = change.kind === 'added' ? null : change.was;
  const now = change.kind === 'removed' ? null : change.now;
  if ([was, now].some((value) => typeof value === 'string' && value.includes('\n'))) {
    const split = (value: Json): string[] => (typeof value === 'string' ? value.replace(/\n$/, '').split('\n') : []);
    const lines = diffLines(split(was), split(now));
    return [`${key}: ${change.kind}`, ...lines.map((line) => `  ${short(line)}`)];
  }
  if (change.kind === 'added') return [`${key}: new, ${shown(now)}`];
  if (change.kind === 'removed') return [`${key}: removed, was ${shown(was)}`];
  return [`${key}: ${shown(was)} -> ${shown(now)}`];
}

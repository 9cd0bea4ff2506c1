/**
 * "Did you mean": the known word nearest to a mistyped one. Pure.
 */

/** Edit distance in which swapping two neighbouring letters counts as one step, because that is how people mistype. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}

const LONGEST = 40;

/** The word of `known` nearest to `word`, or `null` when none is near enough to be what was meant. */
export function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > LONGEST) return null;
  const plain = (text: string) => text.toLowerCase().replaceAll('-', '_');
  let best: string | null = null;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const steps = distance(plain(word), plain(candidate));
    const prefixed = word.length >= 3 && plain(candidate).startsWith(plain(word)) ? 1 : steps;
    const cost = Math.min(steps, prefixed);
    if (cost < least) {
      least = cost;
      best = candidate;
    }
  }
  return best;
}

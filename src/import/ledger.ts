/**
 * Keeps account of an import: every element of the input ends as translated, approximated, not needed or left out. What
 * no part of an importer has looked at is found by `sweep`, so that nothing can get lost in silence.
 */

export type Outcome = 'translated' | 'approximated' | 'not needed' | 'left out';

export interface Entry {
  /** In the input, from 1. */
  line: number;
  /** The second input, when it is of that. */
  file?: string;
  what: string;
  outcome: Outcome;
  /** What it became, or why it did not. Empty when `what` says it all. */
  detail: string;
}

/** An element of the input: an XML element, a statement, a block. */
export interface Item {
  readonly name: string;
  /** From 1. */
  readonly line: number;
  readonly children: readonly Item[];
}

/** Longest text of an entry, in characters; what is longer is cut. */
const MAX_TEXT = 400;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

/** Text of the input on one line, bounded, without control characters: for reports and comments. */
export function oneLine(text: string, max = MAX_TEXT): string {
  const clean = text.toWellFormed().replace(CONTROL, ' ').replace(/ {2,}/g, ' ').trim();
  return clean.length > max ? `${clean.slice(0, max).toWellFormed()}…` : clean;
}

export class Ledger {
  readonly entries: Entry[] = [];
  /** What the person should know or do besides, one line each. */
  readonly advice: string[] = [];
  readonly #seen = new Set<Item>();

  /** Accounts for `item` alone, not for what is in it. */
  note(outcome: Outcome, item: Item, detail = '', what = item.name): void {
    this.#seen.add(item);
    this.entries.push({ line: item.line, what: oneLine(what), outcome, detail: oneLine(detail) });
  }

  /** Accounts for `item` and everything in it with one entry. */
  whole(outcome: Outcome, item: Item, detail = '', what = item.name): void {
    this.note(outcome, item, detail, what);
    this.cover(item);
  }

  /** `item` was read and is a part of something that has an entry of its own. */
  use(...items: readonly Item[]): void {
    for (const item of items) this.#seen.add(item);
  }

  /** As `use`, with everything in it. */
  cover(item: Item): void {
    const stack: Item[] = [item];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      this.#seen.add(at);
      stack.push(...at.children);
    }
  }

  /** One entry for all children of `item` that nobody has looked at, by name; none when there are none. */
  rest(outcome: Outcome, item: Item, detail: string, what = item.name): void {
    const left = item.children.filter((child) => !this.#touched(child));
    if (left.length === 0) return;
    const names = [...new Set(left.map((child) => child.name))];
    const line = left[0]?.line ?? item.line;
    this.entries.push({ line, what: oneLine(`${what}: ${names.join(', ')}`), outcome, detail: oneLine(detail) });
    for (const child of left) this.cover(child);
  }

  advise(text: string): void {
    if (!this.advice.includes(text)) this.advice.push(oneLine(text));
  }

  /** Takes the entries of a second input over. */
  join(other: Ledger, file: string): void {
    for (const entry of other.entries) this.entries.push({ ...entry, file });
    for (const text of other.advice) this.advise(text);
  }

  /** Finds what nobody has looked at in `root`'s children and says so. */
  sweep(root: Item, why = 'not known to the importer'): void {
    for (const child of root.children) {
      if (!this.#touched(child)) this.whole('left out', child, why);
      else this.sweep(child, why);
    }
  }

  count(outcome: Outcome): number {
    return this.entries.filter((entry) => entry.outcome === outcome).length;
  }

  #touched(item: Item): boolean {
    return this.#seen.has(item) || item.children.some((child) => this.#touched(child));
  }
}

/**
 * On which line does a key of a TOML document stand? The parser gives values only, and an error without its line sends
 * people searching. This reads the text a second time, after the parser has accepted it, so it may trust the grammar.
 */

import { parse } from 'smol-toml';

export type KeyPath = readonly (string | number)[];

/**
 * One key, table or list element; a tree instead of path strings, so that a deep document costs no more than its
 * length.
 */
interface Place {
  line: number;
  keys: Map<string, Place>;
  items: Place[];
}

const place = (line: number): Place => ({ line, keys: new Map(), items: [] });

const BLANK = /[ \t\r\n]/;
const BARE_VALUE_END = /[,\]}\n#]/;

class Reader {
  readonly root: Place = place(1);
  readonly #text: string;
  #at = 0;
  #line = 1;
  #counted = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  read(): void {
    let table = this.root;
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#peek() === '[') table = this.#header();
      else this.#assignment(table);
    }
  }

  #peek(ahead = 0): string {
    return this.#text[this.#at + ahead] ?? '';
  }

  /** Line of the current position; counted onwards from the last one asked for, since positions only grow. */
  #currentLine(): number {
    for (; this.#counted < this.#at; this.#counted++) if (this.#text[this.#counted] === '\n') this.#line++;
    return this.#line;
  }

  #skipBlank(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const c = this.#peek();
      if (c === '#') while (this.#at < this.#text.length && this.#peek() !== '\n') this.#at++;
      else if (!BLANK.test(c)) return;
    }
  }

  #child(parent: Place, key: string, line: number): Place {
    let child = parent.keys.get(key);
    if (!child) {
      child = place(line);
      parent.keys.set(key, child);
    }
    return child;
  }

  /** `[a.b]` or `[[a.b]]`; a part that is a list of tables means its last table. */
  #header(): Place {
    const line = this.#currentLine();
    const list = this.#peek(1) === '[';
    this.#at += list ? 2 : 1;
    const path = this.#key(']');
    this.#at += list ? 2 : 1;
    let at = this.root;
    for (const part of path.slice(0, -1)) {
      at = this.#child(at, part, line);
      at = at.items.at(-1) ?? at;
    }
    const last = this.#child(at, path.at(-1) ?? '', line);
    if (!list) {
      last.line = line;
      return last;
    }
    const item = place(line);
    last.items.push(item);
    return item;
  }

  #assignment(table: Place): void {
    const line = this.#currentLine();
    const path = this.#key('=');
    this.#at++;
    let at = table;
    for (const part of path) at = this.#child(at, part, line);
    at.line = line;
    this.#value(at);
  }

  /** A dotted key up to `end`, which is not consumed. */
  #key(end: string): string[] {
    const parts: string[] = [];
    let bare = '';
    for (let c = this.#peek(); c !== end && c !== ''; c = this.#peek()) {
      if (c === '"' || c === "'") {
        parts.push(this.#quotedKey());
        continue;
      }
      if (c === '.' || BLANK.test(c)) {
        if (bare) parts.push(bare);
        bare = '';
      } else bare += c;
      this.#at++;
    }
    if (bare) parts.push(bare);
    return parts;
  }

  #quotedKey(): string {
    const start = this.#at;
    this.#string();
    const raw = this.#text.slice(start, this.#at);
    if (!raw.startsWith('"') || !raw.includes('\\')) return raw.slice(1, -1);
    return String(parse(`k = ${raw}`).k);
  }

  #value(into: Place): void {
    this.#skipBlank();
    const c = this.#peek();
    if (c === '[') this.#list(into);
    else if (c === '{') this.#inlineTable(into);
    else if (c === '"' || c === "'") this.#string();
    else while (this.#at < this.#text.length && !BARE_VALUE_END.test(this.#peek())) this.#at++;
  }

  #list(into: Place): void {
    this.#at++;
    for (this.#skipBlank(); this.#at < this.#text.length && this.#peek() !== ']'; this.#skipBlank()) {
      const item = place(this.#currentLine());
      into.items.push(item);
      this.#value(item);
      this.#skipBlank();
      if (this.#peek() === ',') this.#at++;
    }
    this.#at++;
  }

  #inlineTable(into: Place): void {
    this.#at++;
    for (this.#skipBlank(); this.#at < this.#text.length && this.#peek() !== '}'; this.#skipBlank()) {
      this.#assignment(into);
      this.#skipBlank();
      if (this.#peek() === ',') this.#at++;
    }
    this.#at++;
  }

  #string(): void {
    const quote = this.#peek();
    const long = this.#peek(1) === quote && this.#peek(2) === quote;
    this.#at += long ? 3 : 1;
    for (; this.#at < this.#text.length; this.#at++) {
      const c = this.#peek();
      if (c === '\\' && quote === '"') this.#at++;
      else if (c === quote && (!long || (this.#peek(1) === quote && this.#peek(2) === quote))) break;
    }
    this.#at += long ? 3 : 1;
    // Up to two quotes may stand right before the closing three and belong to the string.
    for (let extra = 0; long && extra < 2 && this.#peek() === quote; extra++) this.#at++;
  }
}

export class TomlLines {
  readonly #root: Place;

  /** `text`: a document that the parser has accepted. */
  constructor(text: string) {
    const reader = new Reader(text);
    reader.read();
    this.#root = reader.root;
  }

  /** The line (from 1) of the key at `path`; for a key that is not there, the line of the table it is missing from. */
  lineOf(path: KeyPath): number {
    let at = this.#root;
    for (const part of path) {
      const next = typeof part === 'number' ? at.items[part] : at.keys.get(part);
      if (!next) break;
      at = next;
    }
    return at.line;
  }
}

/**
 * Reads the configuration files of keepalived and conntrackd: statements of words, one a line, and blocks in braces.
 * Line-accurate; bounded in size, depth and number of statements. Pure.
 */

import type { Item } from './ledger.ts';

export interface Statement extends Item {
  /** The statement's words, its name first; quotes taken off. */
  readonly words: readonly string[];
  readonly children: readonly Statement[];
  /** It has braces, even when nothing is in them. */
  readonly block: boolean;
}

export const BLOCK_LIMITS = { characters: 4 << 20, depth: 32, statements: 100_000, words: 256 } as const;

interface BlockSyntax {
  /** Characters that begin a comment outside of quotes. */
  comments: string;
  /** `$NAME=value` defines, `$NAME` and `${NAME}` use (keepalived). */
  variables: boolean;
}

type BlockResult = { ok: true; root: Statement } | { ok: false; line: number; error: string };

interface Open {
  name: string;
  words: string[];
  line: number;
  children: Statement[];
  block: boolean;
}

/**
 * Words, and the signs { and } as words of their own, of one line; quoted words are marked so that a quoted brace stays
 * text.
 */
function wordsOf(line: string, comments: string): { text: string; quoted: boolean }[] {
  const words: { text: string; quoted: boolean }[] = [];
  for (let at = 0; at < line.length; ) {
    const c = line[at]!;
    if (comments.includes(c)) break;
    if (/\s/.test(c)) at++;
    else if (c === '{' || c === '}') {
      words.push({ text: c, quoted: false });
      at++;
    } else if (c === '"' || c === "'") {
      const end = line.indexOf(c, at + 1);
      if (end < 0) throw `a quote (${c}) is not closed on its line`;
      words.push({ text: line.slice(at + 1, end), quoted: true });
      at = end + 1;
    } else {
      const start = at;
      while (
        at < line.length &&
        !/[\s{}"']/.test(line[at]!) &&
        !(comments.includes(line[at]!) && /\s/.test(line[at - 1]!))
      ) {
        // ${NAME} is a part of its word.
        if (line[at] === '$' && line[at + 1] === '{') at = Math.max(at, line.indexOf('}', at));
        at++;
      }
      words.push({ text: line.slice(start, at), quoted: false });
    }
  }
  return words;
}

class Reader {
  readonly #syntax: BlockSyntax;
  readonly #variables = new Map<string, string>();
  readonly #root: Open = { name: '', words: [], line: 1, children: [], block: true };
  readonly #stack: Open[] = [this.#root];
  #statements = 0;
  line = 1;

  constructor(syntax: BlockSyntax) {
    this.#syntax = syntax;
  }

  /** @throws string what is wrong on the current line */
  read(text: string): Statement {
    if (text.length > BLOCK_LIMITS.characters)
      throw `found ${text.length} characters, allowed at most ${BLOCK_LIMITS.characters}`;
    const lines = text.replace(/^\ufeff/, '').split('\n');
    lines.forEach((line, index) => {
      this.line = index + 1;
      this.#line(line.replace(/\r$/, ''));
    });
    const open = this.#stack.at(-1)!;
    if (open !== this.#root) throw `the file ends inside "${open.name}" of line ${open.line}: a } is missing`;
    return { ...this.#root };
  }

  #line(line: string): void {
    if (this.#syntax.variables && this.#define(line)) return;
    let pending: string[] = [];
    for (const { text, quoted } of wordsOf(line, this.#syntax.comments)) {
      if (!quoted && text === '{') {
        this.#openBlock(pending);
        pending = [];
      } else if (!quoted && text === '}') {
        this.#add(pending);
        pending = [];
        this.#closeBlock();
      } else if (pending.push(this.#syntax.variables ? this.#expand(text) : text) > BLOCK_LIMITS.words) {
        throw `found more than ${BLOCK_LIMITS.words} words on one line`;
      }
    }
    this.#add(pending);
  }

  /** A definition is a statement too, so that it is accounted for. */
  #define(line: string): boolean {
    const match = /^\s*\$([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$/.exec(line);
    if (!match) return false;
    const value = wordsOf(match[2]!, this.#syntax.comments).map(({ text }) => this.#expand(text));
    this.#variables.set(match[1]!, value.join(' '));
    this.#add([`$${match[1]}`, ...value]);
    return true;
  }

  #expand(word: string): string {
    if (!word.includes('$')) return word;
    const expanded = word.replace(
      /\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)/g,
      (whole, a?: string, b?: string) => {
        return this.#variables.get(a ?? b ?? '') ?? whole;
      },
    );
    if (expanded.length > 4096) throw 'found a word longer than 4096 characters after its variables were filled in';
    return expanded;
  }

  #make(words: string[], block: boolean): Open {
    if (++this.#statements > BLOCK_LIMITS.statements) throw `found more than ${BLOCK_LIMITS.statements} statements`;
    return { name: words[0] ?? '', words, line: this.line, children: [], block };
  }

  #add(words: string[]): void {
    if (words.length > 0) this.#stack.at(-1)!.children.push(this.#make(words, false));
  }

  /** The brace may stand on the line after the words that it belongs to. */
  #openBlock(words: string[]): void {
    if (this.#stack.length > BLOCK_LIMITS.depth) throw `found blocks nested deeper than ${BLOCK_LIMITS.depth}`;
    const siblings = this.#stack.at(-1)!.children;
    const last = siblings.at(-1);
    let open: Open;
    if (words.length === 0 && last && !last.block) {
      siblings.pop();
      open = { name: last.name, words: [...last.words], line: last.line, children: [], block: true };
    } else if (words.length === 0) throw 'found a { that belongs to nothing';
    else open = this.#make(words, true);
    siblings.push(open);
    this.#stack.push(open);
  }

  #closeBlock(): void {
    if (this.#stack.length === 1) throw 'found a } too many';
    this.#stack.pop();
  }
}

/** Reads a file. Never throws. */
export function readBlocks(text: string, syntax: BlockSyntax): BlockResult {
  const reader = new Reader(syntax);
  try {
    return { ok: true, root: reader.read(text) };
  } catch (error) {
    if (typeof error !== 'string') throw error;
    return { ok: false, line: reader.line, error };
  }
}

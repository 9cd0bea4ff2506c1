/**
 * A TypeScript source cut into code, comments and strings, well enough for the tidy test. Pure.
 *
 * The cut keeps offsets: in `code` every byte of a comment is a space, so a finding in it has the line of the file.
 */

export interface Cut {
  /** The file with comments blanked; strings stand. */
  code: string;
  /** The same with the content of strings, templates and regular expressions blanked, too. */
  bare: string;
  comments: { text: string; line: number }[];
}

/** After one of these a slash begins a regular expression, not a division. */
const BEFORE_REGEX = /(^|[=(,:[!&|?{};+\-*%<>~^]|\b(return|typeof|case|of|in|throw|await|new|delete|void))\s*$/;

const blank = (text: string): string => text.replace(/[^\n]/g, ' ');

/** Where the string, comment or regular expression that begins at `at` ends (exclusive). */
function endOf(text: string, at: number): number {
  const two = text.slice(at, at + 2);
  if (two === '//') return orEnd(text, text.indexOf('\n', at));
  if (two === '/*') return orEnd(text, text.indexOf('*/', at + 2), 2);
  return text[at] === '/' ? endOfRegex(text, at) : endOfString(text, at);
}

const orEnd = (text: string, found: number, more = 0): number => (found < 0 ? text.length : found + more);

function endOfString(text: string, at: number): number {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === quote) return i + 1;
    else if (quote === '`' && text.startsWith('${', i)) i = endOfHole(text, i + 2) - 1;
    else if (quote !== '`' && text[i] === '\n') return i;
  }
  return text.length;
}

/** The end of a template's `${…}`, which may hold strings and templates of its own. */
function endOfHole(text: string, at: number): number {
  let depth = 1;
  for (let i = at; i < text.length; i += 1) {
    if (text[i] === '{') depth += 1;
    else if (text[i] === '}' && --depth === 0) return i + 1;
    else if (text[i] === "'" || text[i] === '"' || text[i] === '`') i = endOfString(text, i) - 1;
  }
  return text.length;
}

function endOfRegex(text: string, at: number): number {
  let inClass = false;
  for (let i = at + 1; i < text.length && text[i] !== '\n'; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '[') inClass = true;
    else if (text[i] === ']') inClass = false;
    else if (text[i] === '/' && !inClass) return i + 1;
  }
  return at + 1;
}

export function cutSource(text: string): Cut {
  const code: string[] = [];
  const bare: string[] = [];
  const comments: Cut['comments'] = [];
  let line = 1;
  let from = 0;
  let before = '';
  const plain = (to: number): void => {
    const piece = text.slice(from, to);
    code.push(piece);
    bare.push(piece);
    line += piece.split('\n').length - 1;
    before = (before + piece).slice(-40);
  };
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i] as string;
    const isComment = char === '/' && (text[i + 1] === '/' || text[i + 1] === '*');
    const isString = char === "'" || char === '"' || char === '`';
    if (!isComment && !isString && char !== '/') continue;
    if (char === '/' && !isComment && !BEFORE_REGEX.test((before + text.slice(from, i)).slice(-40))) continue;
    plain(i);
    const end = endOf(text, i);
    const piece = text.slice(i, end);
    if (isComment) comments.push({ text: piece, line });
    else before = `${before}x`;
    code.push(isComment ? blank(piece) : piece);
    bare.push(blank(piece));
    line += piece.split('\n').length - 1;
    from = end;
    i = end - 1;
  }
  plain(text.length);
  return { code: code.join(''), bare: bare.join(''), comments };
}

/** Relative imports and re-exports: the specifier, its line, and whether only types come from there. */
export function importsOf(cut: Cut): { spec: string; line: number; type: boolean }[] {
  const found: { spec: string; line: number; type: boolean }[] = [];
  for (const match of cut.code.matchAll(/\b(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)) {
    const before = cut.code.slice(0, match.index);
    const type = /\bimport type [^;]*$/.test(before);
    found.push({ spec: match[1] as string, line: before.split('\n').length, type });
  }
  return found;
}

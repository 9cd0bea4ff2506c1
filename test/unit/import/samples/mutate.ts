/**
 * Samples as trees with one element or statement a line, so that a line names one element; and text broken at random.
 */
import { readBlocks, type Statement } from '../../../../src/import/blocks.ts';
import { readXml, type XmlElement } from '../../../../src/import/pfsense/xml.ts';
import type { Sample } from './lib.ts';

/** A tree that can be changed. */
export interface Node {
  name: string;
  words: string[];
  text: string;
  block: boolean;
  children: Node[];
  parent: Node | null;
  /** Line in the last text that was made of the tree. */
  line: number;
}

function fromXml(element: XmlElement, parent: Node | null): Node {
  const node: Node = { name: element.name, words: [], text: element.text, block: true, children: [], parent, line: 0 };
  node.children = element.children.map((one) => fromXml(one, node));
  return node;
}

function fromBlocks(statement: Statement, parent: Node | null): Node {
  const words = [...statement.words];
  const node: Node = { name: statement.name, words, text: '', block: statement.block, children: [], parent, line: 0 };
  node.children = statement.children.map((one) => fromBlocks(one, node));
  return node;
}

export function treeOf({ kind, text, name }: Sample): Node {
  const syntax = { comments: kind === 'keepalived' ? '#!' : '#', variables: kind === 'keepalived' };
  const read = kind === 'pfsense' ? readXml(text) : readBlocks(text, syntax);
  if (!read.ok) throw new Error(`${name}:${read.line}: ${read.error}`);
  return kind === 'pfsense' ? fromXml(read.root as XmlElement, null) : fromBlocks(read.root as Statement, null);
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('\n', '&#10;');
const quote = (word: string) => (/[\s{}"'#!]/.test(word) || word === '' ? `"${word}"` : word);

/** Text of a tree; writes each node's line into it. */
export function textOf(root: Node, kind: Sample['kind']): string {
  const lines: string[] = [];
  const write = (node: Node): void => {
    node.line = lines.length + 1;
    if (kind === 'pfsense') {
      if (node.children.length === 0) lines.push(`<${node.name}>${escaped(node.text)}</${node.name}>`);
      else {
        lines.push(`<${node.name}>`);
        node.children.forEach(write);
        lines.push(`</${node.name}>`);
      }
      return;
    }
    const head = node.name.startsWith('$')
      ? `${node.name}=${node.words.slice(1).map(quote).join(' ')}`
      : node.words.map(quote).join(' ');
    lines.push(node.block ? `${head} {` : head);
    node.children.forEach(write);
    if (node.block) lines.push('}');
  };
  if (kind === 'pfsense') write(root);
  else root.children.forEach(write);
  return `${lines.join('\n')}\n`;
}

export function leaves(node: Node): Node[] {
  return node.children.length === 0 ? [node] : node.children.flatMap(leaves);
}

export function ancestors(node: Node): Node[] {
  return node.parent ? [node.parent, ...ancestors(node.parent)] : [];
}

/** Numbers from a seed: 0 <= n < 1. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const SNIPPETS = [
  '',
  '<',
  '>',
  '</rule>',
  '<rule>',
  '{',
  '}',
  '"',
  "'",
  '\\',
  '$X',
  '&',
  ']]>',
  '\u0000',
  '\n',
  '999999999',
  '-1',
  '0',
  '::',
  '/33',
  'any',
  '(self)',
  '\u{1f525}',
  '\ud800',
  '<not/>',
  '1-0',
  'true',
  'e'.repeat(300),
];

/** The text with a few spans cut, doubled, moved or replaced. */
export function broken(text: string, random: () => number): string {
  let out = text;
  const times = 1 + Math.floor(random() * 4);
  for (let i = 0; i < times; i++) {
    const at = Math.floor(random() * out.length);
    const end = Math.min(out.length, at + Math.floor(random() ** 3 * 200));
    const piece = out.slice(at, end);
    const what = Math.floor(random() * 4);
    const snippet = SNIPPETS[Math.floor(random() * SNIPPETS.length)]!;
    if (what === 0) out = out.slice(0, at) + out.slice(end);
    else if (what === 1) out = out.slice(0, end) + piece + out.slice(end);
    else if (what === 2) out = out.slice(0, at) + snippet + out.slice(at);
    else out = out.slice(0, at) + snippet + out.slice(end);
  }
  return out;
}

/**
 * The tree with a few values replaced by others of the same file or odd ones: stays well-formed, and so goes deeper.
 */
export function shuffled(root: Node, random: () => number): void {
  const all = leaves(root);
  const times = 1 + Math.floor(random() * 6);
  const pick = () => all[Math.floor(random() * all.length)]!;
  for (let i = 0; i < times; i++) {
    const node = pick();
    const other = pick();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what no such file can hold is taken out
    const odd = SNIPPETS[Math.floor(random() * SNIPPETS.length)]!.replace(/[\u0000"'\n\ud800<>]/g, '');
    if (random() < 0.3) node.name = other.name;
    if (random() < 0.5) node.text = other.text;
    else if (random() < 0.3) node.text = odd;
    if (node.words.length > 0) node.words = random() < 0.5 ? [...other.words] : [node.words[0]!, odd];
    if (node.words.length > 0) node.name = node.words[0]!;
  }
}

/**
 * What a load that makes a table anew carries over (one in place has it anyway, see nft-inplace.ts): the values of
 * named counters and quotas, and the elements of sets and maps that packets fill (`flags dynamic` or `timeout`). All
 * that nft prints of them it also takes, so they go over as text: counters and quotas are declared in the fresh table
 * before the user's file, whose own declaration then changes nothing; elements are added after it. Sets without these
 * flags are the file's alone, and counters inside of rules begin anew.
 */
import { runNft } from './nft.ts';
import { type Block, listedBlocks } from './nft-inplace.ts';
import type { NamedObject } from './nft-scan.ts';

export interface Kept {
  /** Declarations of counters and quotas, by table (`inet filter`). */
  readonly objects: ReadonlyMap<string, string>;
  /** `add element …` lines. */
  readonly elements: string;
}

export const NOTHING_KEPT: Kept = { objects: new Map(), elements: '' };

const tableOf = ({ table }: Pick<Block, 'table'>): string => `${table.family} ${table.name}`;
const nameOf = (object: Pick<Block, 'kind' | 'table' | 'name'>): string =>
  `${object.kind} ${tableOf(object)} ${object.name}`;

/** What stands between the braces of `elements = { … }`; a brace inside of quotes (a comment) is none. */
function elementsOf(body: string): string {
  const at = body.indexOf('elements = {');
  if (at < 0) return '';
  const start = at + 'elements = {'.length;
  let quoted = false;
  for (let i = start; i < body.length; i++) {
    if (body[i] === '"') quoted = !quoted;
    if (body[i] === '}' && !quoted) return body.slice(start, i).trim();
  }
  return '';
}

/** One that ends within this millisecond: nft does not take a time of nothing. */
const ENDING = /,?[^,]*\bexpires 0m?s\b[^,]*/g;

/** The text that brings `blocks` back. */
export function keptText(blocks: readonly Block[]): Kept {
  const objects = new Map<string, string>();
  let elements = '';
  for (const block of blocks) {
    const table = tableOf(block);
    if (block.kind === 'counter' || block.kind === 'quota') {
      objects.set(table, `${objects.get(table) ?? ''}\t${block.kind} ${block.name} {\n${block.body}\t}\n`);
      continue;
    }
    const list = elementsOf(block.body).replace(ENDING, '').replace(/^,/, '').trim();
    if (list !== '') elements += `add element ${table} ${block.name} { ${list} }\n`;
  }
  return { objects, elements };
}

/**
 * What the kernel holds of `wanted` now. Between this and the load a few milliseconds pass, and what packets add in
 * them is lost.
 * @throws Error with nft's words: too much to carry over, for one
 */
export async function readKept(wanted: readonly NamedObject[]): Promise<Kept> {
  if (wanted.length === 0) return NOTHING_KEPT;
  const names = new Set(wanted.map(nameOf));
  // Terse: a set of a million addresses that is the file's own must not be printed only to be thrown away.
  const all = 'list counters\nlist quotas\nlist sets\nlist maps\n';
  const there = listedBlocks(await listed(['-t'], all)).filter((block) => names.has(nameOf(block)));
  const objects = there.filter(({ kind }) => kind === 'counter' || kind === 'quota');
  const filled = there.filter(({ kind }) => kind === 'set' || kind === 'map');
  // One at a time: nft does not find the set of a second `list set` in the same input.
  const lists: Block[] = [];
  for (const block of filled) lists.push(...listedBlocks(await listed([], `list ${nameOf(block)}\n`)));
  return keptText([...objects, ...lists]);
}

async function listed(options: readonly string[], input: string): Promise<string> {
  const { output, error } = await runNft([...options, '-f', '-'], input);
  if (error !== null) throw new Error(error.split('\n')[0]);
  return output;
}

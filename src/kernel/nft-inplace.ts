/**
 * Putting rules in the place of others, so that all that packets have made of them stays: it is not read and written
 * back, it is never touched. Pure.
 *
 * A table that is deleted and made anew in one transaction loses what packets put into its sets between the reading of
 * them and the load; and the kernel (nf_tables_commit) has, for the moment in which it works through a long list, the
 * old base chain and the new one on the same hook. (No packet was lost to that when it was tried, with 2,000 rules.)
 * So:
 *
 * - base chains that the new file has too stay; their rules are flushed, and those of the file follow in the
 *   transaction;
 * - other chains, and sets and maps that are the file's own, are deleted and made anew;
 * - named counters and quotas, and sets and maps that packets fill, stay as they are, with all that they hold.
 */
import type { ScannedRules, TableName } from './nft-scan.ts';

/** One object as `nft list` shows it: `body` is the lines between its braces. */
export interface Block {
  readonly kind: 'set' | 'map' | 'counter' | 'quota' | 'chain';
  readonly table: TableName;
  readonly name: string;
  readonly body: string;
}

const tableKey = ({ family, name }: TableName): string => `${family} ${name}`;
const nameOf = ({ table, name }: { table: TableName; name: string }): string => `${tableKey(table)} ${name}`;

/** The blocks of `nft list …`: a table, in it one object a block, each line of its body indented by two tabs. */
export function listedBlocks(output: string): Block[] {
  const blocks: Block[] = [];
  let table = { family: '', name: '' };
  let open: { kind: Block['kind']; name: string; lines: string[] } | null = null;
  for (const line of output.split('\n')) {
    const head = /^table (\S+) (\S+) \{/.exec(line);
    const begin = /^\t(set|map|counter|quota|chain) (\S+) \{$/.exec(line);
    if (head) table = { family: head[1]!, name: head[2]! };
    else if (begin) open = { kind: begin[1] as Block['kind'], name: begin[2]!, lines: [] };
    else if (open !== null && line === '\t}') {
      blocks.push({ kind: open.kind, table, name: open.name, body: open.lines.map((one) => `${one}\n`).join('') });
      open = null;
    } else open?.lines.push(line);
  }
  return blocks;
}

/**
 * What goes before the user's file, which has no `flush ruleset` (see withoutFlush).
 * @param tables those that the last load made
 * @param there what the kernel has now in any table
 * @returns null when the new file does not have one of them, or has something that cannot stay
 */
export function inPlaceText(tables: readonly TableName[], there: readonly Block[], rules: ScannedRules): string | null {
  if (rules.flushesRuleset || rules.odd) return null;
  const wanted = new Set(rules.tables.map(tableKey));
  if (tables.length === 0 || tables.some((table) => !wanted.has(tableKey(table)))) return null;
  const mine = new Set(tables.map(tableKey));
  const ours = there.filter(({ table }) => mine.has(tableKey(table)));
  const base = new Map(rules.chains.map((chain) => [`${chain.family} ${chain.table} ${chain.name}`, chain]));
  const filled = new Set(rules.kept.map((object) => `${object.kind} ${nameOf(object)}`));
  const hasValue = ({ kind, body }: Block): boolean =>
    kind === 'counter' || kind === 'quota' || /^\t\t(flags .*(dynamic|timeout)|timeout )/m.test(body);
  const chains = ours.filter(({ kind }) => kind === 'chain');
  const stays = (chain: Block): boolean => /^\t\ttype /m.test(chain.body) && base.has(nameOf(chain));
  const sets = ours.filter(({ kind }) => kind !== 'chain');
  return [
    ...chains.map((chain) => `flush chain ${nameOf(chain)}`),
    // Maps before chains: their elements may jump there.
    ...sets
      .filter((object) => !(filled.has(`${object.kind} ${nameOf(object)}`) && hasValue(object)))
      .map((object) => `delete ${object.kind} ${nameOf(object)}`),
    ...chains.filter((chain) => !stays(chain)).map((chain) => `delete chain ${nameOf(chain)}`),
    // Without a word of its own a chain keeps the policy that it has.
    ...chains
      .filter((chain) => stays(chain) && !rules.policies.has(nameOf(chain)))
      .map((chain) => `chain ${nameOf(chain)} { policy accept; }`),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

/** The tables in the output of `nft list …`. */
export function listedTables(output: string): TableName[] {
  const tables = new Map<string, TableName>();
  for (const [, family, name] of output.matchAll(/^table (\S+) (\S+) \{/gm)) {
    tables.set(`${family} ${name}`, { family: family!, name: name! });
  }
  return [...tables.values()];
}

/**
 * The file without the `flush ruleset` that it begins with, its lines and columns as they were; null when it does not
 * begin so. Only comments and definitions may stand before it: else it would empty what the file itself has made.
 */
export function withoutFlush(text: string): string | null {
  const lines = text.split('\n');
  for (const [i, line] of lines.entries()) {
    if (/^\s*(#.*|(re)?define\s[^{]*)?$/.test(line)) continue;
    const found = /^(\s*)(flush\s+ruleset\s*;?)(\s*(#.*)?)$/.exec(line);
    if (found === null) return null;
    lines[i] = `${found[1]}${' '.repeat(found[2]!.length)}${found[3]}`;
    return lines.join('\n');
  }
  return null;
}

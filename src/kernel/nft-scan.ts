/**
 * What a rules file defines: its tables, and its chains on hooks. Pure; included files are read by the caller.
 *
 * nft itself could say so only after loading the file (`--echo` is silent together with `--check`), so the few statements
 * that matter are recognised here: comments, quoted strings, braces, `table`, `chain`, `type … hook …`, `flush ruleset`,
 * `include`. Should this misread a file, the kernel is asked afterwards; see ruleset.ts.
 */
import type { BaseChain } from './nft.ts';

export interface TableName {
  readonly family: string;
  readonly name: string;
}

export interface ScannedRules {
  readonly tables: readonly TableName[];
  readonly chains: readonly BaseChain[];
  /** the file begins by emptying everything */
  readonly flushesRuleset: boolean;
}

const FAMILIES = new Set(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']);
const END = '\n';

/** Words, quoted strings (without their quotes), and the signs { } ; and line end. */
function tokens(text: string): string[] {
  const found: string[] = [];
  const pattern = /#[^\n]*|\\\r?\n|"((?:[^"\\]|\\.)*)"|[{};\n]|[^\s{};"#]+/g;
  for (const match of text.matchAll(pattern)) {
    const [whole, quoted] = match;
    if (whole.startsWith('#') || whole.startsWith('\\')) continue;
    found.push(quoted ?? (whole === ';' ? END : whole));
  }
  return found;
}

interface Scope {
  readonly kind: 'table' | 'chain' | 'other';
  readonly table?: TableName;
  readonly chain?: string;
}

/** Words after a keyword: an optional family, then names. */
function named(words: readonly string[]): { family: string; names: readonly string[] } {
  const [first = ''] = words;
  return FAMILIES.has(first) ? { family: first, names: words.slice(1) } : { family: 'ip', names: words };
}

/** Files including files, deeper than nft itself allows. */
const INCLUDE_DEPTH = 16;

/**
 * @param text the rules
 * @param include the contents of the files that an `include "…"` names; unreadable ones are nft's to complain about
 */
export function scanRules(text: string, include: (pattern: string) => readonly string[] = () => []): ScannedRules {
  const tables = new Map<string, TableName>();
  const chains = new Map<string, BaseChain>();
  const found = { flushesRuleset: false };
  scanInto(text, { tables, chains, found, include }, [], 0);
  return { tables: [...tables.values()], chains: [...chains.values()], ...found };
}

interface Findings {
  readonly tables: Map<string, TableName>;
  readonly chains: Map<string, BaseChain>;
  readonly found: { flushesRuleset: boolean };
  readonly include: (pattern: string) => readonly string[];
}

function scanInto(text: string, findings: Findings, scopes: Scope[], depth: number): void {
  const { tables, chains, found } = findings;
  let statement: string[] = [];
  const finish = (): void => {
    const scope = scopes.at(-1);
    const [first, second] = statement;
    if (first === 'include' && second !== undefined) {
      statement = [];
      if (depth < INCLUDE_DEPTH) for (const one of findings.include(second)) scanInto(one, findings, scopes, depth + 1);
    } else if (scope === undefined) {
      found.flushesRuleset ||= first === 'flush' && second === 'ruleset';
      opening(statement, scopes, tables);
    } else if (scope.kind === 'chain' && first === 'type' && statement[2] === 'hook') {
      const { family, name: table } = scope.table!;
      const chain = { family, table, name: scope.chain!, type: second ?? '', hook: statement[3] ?? '' };
      chains.set(`${family} ${table} ${chain.name}`, chain);
    }
    statement = [];
  };

  for (const token of tokens(text)) {
    if (token === '{') {
      scopes.push(opening(statement, scopes, tables));
      statement = [];
    } else if (token === '}') {
      finish();
      scopes.pop();
    } else if (token === END) finish();
    else statement.push(token);
  }
  finish();
}

/** What a statement opens if a brace follows; a table it names is noted. */
function opening(statement: readonly string[], scopes: readonly Scope[], tables: Map<string, TableName>): Scope {
  const outer = scopes.at(-1);
  const words = statement[0] === 'add' || statement[0] === 'create' ? statement.slice(1) : statement;
  const [keyword, ...rest] = words;
  if (outer === undefined && keyword === 'table') {
    const { family, names } = named(rest);
    const [name] = names;
    if (name === undefined) return { kind: 'other' };
    const table = { family, name };
    tables.set(`${family} ${name}`, table);
    return { kind: 'table', table };
  }
  if (outer === undefined && keyword === 'chain') {
    const { family, names } = named(rest);
    const [table, chain] = names;
    return chain === undefined ? { kind: 'other' } : { kind: 'chain', table: { family, name: table! }, chain };
  }
  const [chain] = rest;
  if (outer?.kind === 'table' && keyword === 'chain' && chain !== undefined) {
    return { kind: 'chain', table: outer.table!, chain };
  }
  return { kind: 'other' };
}

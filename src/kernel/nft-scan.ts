/**
 * What a rules file defines: its tables, and its chains on hooks. Pure; included files are read by the caller.
 *
 * nft itself could say so only after loading the file (`--echo` is silent together with `--check`), so the few
 * statements that matter are recognised here: comments, quoted strings, braces, `table`, `chain`, `type … hook …`,
 * `set`, `map`, `counter`, `quota`, `flags …`, `flush ruleset`, `include`. Should this misread a file, the kernel is
 * asked afterwards; see ruleset.ts.
 */
import type { BaseChain } from './nft.ts';

export interface TableName {
  readonly family: string;
  readonly name: string;
}

type KeptKind = 'set' | 'map' | 'counter' | 'quota';

/** Something with a name in a table, that has a value of its own. */
export interface NamedObject {
  readonly kind: KeptKind;
  readonly table: TableName;
  readonly name: string;
}

export interface ScannedRules {
  readonly tables: readonly TableName[];
  readonly chains: readonly BaseChain[];
  /** what holds a value that packets make: counters, quotas, and sets and maps with the flags dynamic or timeout */
  readonly kept: readonly NamedObject[];
  /** base chains (`inet filter input`) whose policy the file gives */
  readonly policies: ReadonlySet<string>;
  /** it has objects of other kinds (limits, helpers, flowtables …), or changes what it has made */
  readonly odd: boolean;
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
  readonly kind: 'table' | 'chain' | 'object' | 'other';
  readonly table?: TableName;
  readonly chain?: string;
  readonly object?: NamedObject;
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
  const kept = new Map<string, NamedObject>();
  const policies = new Set<string>();
  const found = { flushesRuleset: false, odd: false };
  scanInto(text, { tables, chains, kept, policies, found, include }, [], 0);
  return { tables: [...tables.values()], chains: [...chains.values()], kept: [...kept.values()], policies, ...found };
}

interface Findings {
  readonly tables: Map<string, TableName>;
  readonly chains: Map<string, BaseChain>;
  readonly kept: Map<string, NamedObject>;
  readonly policies: Set<string>;
  readonly found: { flushesRuleset: boolean; odd: boolean };
  readonly include: (pattern: string) => readonly string[];
}

function scanInto(text: string, findings: Findings, scopes: Scope[], depth: number): void {
  const { tables, chains, kept, policies, found } = findings;
  const keep = (object: NamedObject): void => {
    kept.set(`${object.kind} ${object.table.family} ${object.table.name} ${object.name}`, object);
  };
  let statement: string[] = [];
  const finish = (): void => {
    const scope = scopes.at(-1);
    const [first, second] = statement;
    if (first === 'include' && second !== undefined) {
      statement = [];
      if (depth < INCLUDE_DEPTH) for (const one of findings.include(second)) scanInto(one, findings, scopes, depth + 1);
    } else if (scope === undefined) {
      found.flushesRuleset ||= first === 'flush' && second === 'ruleset';
      found.odd ||= first !== undefined && !PLAIN_WORDS.has(first);
      opening(statement, scopes, tables);
    } else if (scope.kind === 'chain' && first === 'type' && statement[2] === 'hook') {
      const { family, name: table } = scope.table!;
      const chain = { family, table, name: scope.chain!, type: second ?? '', hook: statement[3] ?? '' };
      chains.set(`${family} ${table} ${chain.name}`, chain);
    } else if (scope.kind === 'table') {
      found.odd ||= first !== undefined && first !== 'comment';
    } else if (scope.kind === 'chain' && first === 'policy') {
      policies.add(`${scope.table!.family} ${scope.table!.name} ${scope.chain}`);
    } else if (scope.kind === 'object' && /^flags .*(dynamic|timeout)|^timeout /.test(statement.join(' '))) {
      keep(scope.object!);
    }
    statement = [];
  };

  for (const token of tokens(text)) {
    if (token === '{') {
      const scope = opening(statement, scopes, tables);
      const inTable = scopes.at(-1)?.kind === 'table';
      scopes.push(scope);
      found.odd ||= inTable && scope.kind === 'other';
      // A set is kept for its flags, which follow.
      if (scope.object?.kind === 'counter' || scope.object?.kind === 'quota') keep(scope.object);
      statement = [];
    } else if (token === '}') {
      finish();
      scopes.pop();
    } else if (token === END) finish();
    else statement.push(token);
  }
  finish();
}

/** Statements outside of tables that only make something, or nothing (`define`); `flush` has a flag of its own. */
const PLAIN_WORDS: ReadonlySet<string> = new Set([
  'define',
  'redefine',
  'undefine',
  'include',
  'table',
  'chain',
  'add',
  'flush',
  'set',
  'map',
  'counter',
  'quota',
]);

const KEPT_KINDS: ReadonlySet<string> = new Set(['set', 'map', 'counter', 'quota']);

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
  if (KEPT_KINDS.has(keyword ?? '')) {
    const { family, names } = outer === undefined ? named(rest) : { family: '', names: rest };
    const table = outer === undefined ? { family, name: names[0] ?? '' } : outer.table;
    const name = names[outer === undefined ? 1 : 0];
    const object = table && name ? { kind: keyword as KeptKind, table, name } : null;
    if (object !== null && (outer === undefined || outer.kind === 'table')) return { kind: 'object', object };
  }
  return { kind: 'other' };
}

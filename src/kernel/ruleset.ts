/**
 * The user's rules and our own table, loaded together in one transaction.
 *
 * The text of one load: the roles as variables; the removal of every table that the file defines (or an earlier load
 * defined), so that loading twice is loading once; the user's file as it is; our own table anew; the guards. A file that
 * begins with `flush ruleset` empties our table too, and the same transaction makes it again: there is no instant without.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { applyNft, type BaseChain, checkNft, firstError, listBaseChains } from './nft.ts';
import { type ScannedRules, scanRules, type TableName } from './nft-scan.ts';
import {
  carpioTable,
  GUARD_COMMENT,
  guardable,
  guardInserts,
  OWN_TABLE,
  roleDefines,
  type TableOptions,
} from './nft-text.ts';

export interface RulesetOptions extends TableOptions {
  /** role -> devices, for `iifname $wan` */
  readonly roles: Readonly<Record<string, readonly string[]>>;
  /** the user's file: its path (for messages and relative includes) and content; null: none */
  readonly rules: { readonly path: string; readonly text: string } | null;
}

const tableKey = (table: TableName): string => `${table.family} ${table.name}`;

export class Ruleset {
  #loaded: readonly TableName[] = [];

  /**
   * Would `load` work? Nothing changes.
   * @returns null, or one line: file, line, column, what nft says
   */
  async check(options: RulesetOptions): Promise<string | null> {
    return (await this.#prepare(options)).error;
  }

  /**
   * Loads everything in one transaction; when it fails, nothing has changed.
   * @returns null, or one line that says where and why
   */
  async load(options: RulesetOptions): Promise<string | null> {
    const prepared = await this.#prepare(options);
    if (prepared.error !== null) return prepared.error;
    const { text, directory, scanned } = prepared;
    const said = await applyNft(text, directory);
    if (said !== null) return describe(said, options, prepared.before);
    this.#loaded = scanned.tables;
    return this.#guardTheRest(options, scanned, prepared.guarded);
  }

  async #prepare(options: RulesetOptions): Promise<Prepared> {
    const directory = options.rules === null ? undefined : dirname(resolve(options.rules.path));
    const scanned = scanRules(options.rules?.text ?? '', (pattern) => included(pattern, directory ?? '/'));
    const withGuards = compose(options, scanned, this.#loaded, scanned.chains);
    const own = scanned.tables.some((table) => tableKey(table) === tableKey(OWN_TABLE));
    if (own) {
      const error = `${options.rules?.path}: table inet carpio is Carpio's own; name yours differently`;
      return { error, text: '', before: 0, directory, scanned, guarded: [] };
    }
    const guarded = await checkNft(withGuards.text, directory);
    if (guarded === null) return { error: null, ...withGuards, directory, scanned, guarded: guardable(scanned.chains) };
    // A guard may stand on a chain that the file deletes again, or that was misread: then they are put in afterwards.
    const plain = compose(options, scanned, this.#loaded, []);
    const said = await checkNft(plain.text, directory);
    const error = said === null ? null : describe(said, options, plain.before);
    return { error, ...plain, directory, scanned, guarded: [] };
  }

  /** Guards for chains of the user's tables that could not be guarded in the transaction itself. */
  async #guardTheRest(
    options: RulesetOptions,
    scanned: ScannedRules,
    guarded: readonly BaseChain[],
  ): Promise<string | null> {
    const done = new Set(guarded.map(chainKey));
    const own = new Set(scanned.tables.map(tableKey));
    if (own.size === 0) return null;
    try {
      const rest = (await listBaseChains()).filter(
        (chain) => own.has(tableKey({ family: chain.family, name: chain.table })) && !done.has(chainKey(chain)),
      );
      const inserts = guardInserts(rest, options);
      const said = inserts === '' ? null : await applyNft(inserts);
      return said === null ? null : firstError(said, `guards (rules with comment "${GUARD_COMMENT}")`, 0);
    } catch (error) {
      return (error as Error).message;
    }
  }
}

/** The files of an `include`, found as nft finds them: `./` beside the rules file, else in /etc first. */
function included(pattern: string, directory: string): string[] {
  const anchored = pattern.startsWith('.') || pattern.startsWith('/');
  for (const place of anchored ? [directory] : ['/etc', directory]) {
    const contents = globSync(resolve(place, pattern)).sort().flatMap(readIfPossible);
    if (contents.length > 0) return contents;
  }
  return [];
}

function readIfPossible(path: string): string[] {
  try {
    return [readFileSync(path, 'utf8')];
  } catch {
    return []; // nft will say so
  }
}

interface Prepared {
  readonly error: string | null;
  readonly text: string;
  /** lines in front of the user's first */
  readonly before: number;
  readonly directory: string | undefined;
  readonly scanned: ScannedRules;
  readonly guarded: readonly BaseChain[];
}

const chainKey = (chain: BaseChain): string => `${chain.family} ${chain.table} ${chain.name}`;

function compose(
  options: RulesetOptions,
  scanned: ScannedRules,
  loaded: readonly TableName[],
  chains: readonly BaseChain[],
): { text: string; before: number } {
  const mine = new Map([...loaded, ...scanned.tables].map((table) => [tableKey(table), table]));
  // `table` alone makes the table if it is not there, so that `delete` cannot fail.
  const removals = [...mine.keys()].map((key) => `table ${key}\ndelete table ${key}\n`).join('');
  const head = roleDefines(options.roles) + removals;
  const user = options.rules === null ? '' : `${options.rules.text}\n`;
  return {
    text: head + user + carpioTable(options) + guardInserts(chains, options),
    before: head.split('\n').length - 1,
  };
}

function describe(said: string, options: RulesetOptions, before: number): string {
  return firstError(said, options.rules?.path ?? 'table inet carpio', before);
}

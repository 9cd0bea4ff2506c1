/**
 * The user's rules and our own table, loaded together in one transaction.
 *
 * The text of one load: the roles as variables; what makes way for the user's file, so that loading twice is loading
 * once; that file as it is; our own table anew; the guards. Way is made by emptying the chains of the last load, so
 * that there is no instant in which neither rules count (nft-inplace.ts); or, the first time and where that does not
 * fit, by removing every table that the file defines or an earlier load defined. A file that begins with `flush
 * ruleset` empties our table too, and the same transaction makes it again. Named counters and quotas go on from where
 * they were, and so do the elements of dynamic sets (nft-keep.ts).
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { applyNft, type BaseChain, checkNft, firstError, listBaseChains, runNft } from './nft.ts';
import { inPlaceText, listedBlocks, listedTables, withoutFlush } from './nft-inplace.ts';
import { type Kept, NOTHING_KEPT, readKept } from './nft-keep.ts';
import { type NamedObject, type ScannedRules, scanRules, type TableName } from './nft-scan.ts';
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
  readonly rules: {
    readonly path: string;
    readonly text: string;
    /** where relative includes are looked for, when that is not where `path` is */
    readonly directory?: string;
  } | null;
}

/** What has a name in any table, without the elements of sets. */
const LIST_ALL = 'list chains\nlist sets\nlist maps\nlist counters\nlist quotas\n';

const tableKey = (table: TableName): string => `${table.family} ${table.name}`;

export class Ruleset {
  #loaded: readonly TableName[] = [];

  /** the user's tables, as last loaded */
  get tables(): readonly TableName[] {
    return this.#loaded;
  }

  /** why the last load began with empty counters and sets; null: it did not have to */
  #forgot: string | null = null;

  get forgot(): string | null {
    return this.#forgot;
  }

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

  /** The ways to load, the best first; the first that passes the kernel's check is taken. */
  async #prepare(options: RulesetOptions): Promise<Prepared> {
    const { rules } = options;
    const directory = rules === null ? undefined : (rules.directory ?? dirname(resolve(rules.path)));
    const scan = (text: string): ScannedRules => scanRules(text, (pattern) => included(pattern, directory ?? '/'));
    const text = rules?.text ?? '';
    const scanned = scan(text);
    const { chains } = scanned;
    const guarded = guardable(chains);
    this.#forgot = null;
    if (scanned.tables.some((table) => tableKey(table) === tableKey(OWN_TABLE))) {
      const error = `${rules?.path}: table inet carpio is Carpio's own; name yours differently`;
      return { error, text: '', before: 0, directory, scanned, guarded: [] };
    }
    // Who was heard lately is learned again within seconds, and reading it back would be one more run of nft.
    const own = await this.#kept(scanRules(carpioTable(options)).kept.filter(({ kind }) => kind === 'counter'));
    const still = withoutFlush(text) ?? text;
    const inPlace = await this.#inPlace(scan(still), still !== text);
    if (inPlace !== null) {
      const composed = compose(options, { removals: inPlace, user: still, chains, own });
      if ((await checkNft(composed.text, directory)) === null) {
        return { error: null, ...composed, directory, scanned, guarded };
      }
    }
    const removals = removalOf([...this.#loaded, ...scanned.tables]);
    const kept = await this.#kept(scanned.kept);
    const anew = compose(options, { removals, user: text, chains, own, kept });
    const said = await checkNft(anew.text, directory);
    if (said === null) return { error: null, ...anew, directory, scanned, guarded };
    // What was kept may not fit any more: a set of another type.
    const empty = compose(options, { removals, user: text, chains });
    if ((await checkNft(empty.text, directory)) === null) {
      this.#forgot = firstError(said, 'the counters and dynamic sets as they were', 0);
      return { error: null, ...empty, directory, scanned, guarded };
    }
    // A guard may stand on a chain that the file deletes again, or that was misread: then they are put in afterwards.
    const plain = compose(options, { removals, user: text, chains: [] });
    const refused = await checkNft(plain.text, directory);
    const error = refused === null ? null : describe(refused, options, plain.before);
    return { error, ...plain, directory, scanned, guarded: [] };
  }

  /**
   * What comes before the user's file when its rules take the place of the last load's; null: that way is not open.
   * @param flushes the file said `flush ruleset`, and the rest is `scanned`
   */
  async #inPlace(scanned: ScannedRules, flushes: boolean): Promise<string | null> {
    if (this.#loaded.length === 0) return null;
    const { output, error } = await runNft(['-t', '-f', '-'], LIST_ALL);
    if (error !== null) return null;
    const text = inPlaceText(this.#loaded, listedBlocks(output), scanned);
    if (text === null) return null;
    const loaded = new Set([...this.#loaded, OWN_TABLE].map(tableKey));
    const fresh = scanned.tables.filter((table) => !loaded.has(tableKey(table)));
    const foreign = flushes ? listedTables(output).filter((table) => !loaded.has(tableKey(table))) : [];
    return removalOf([...foreign, ...fresh]) + text;
  }

  /** Values that the new rules have a place for. */
  async #kept(wanted: readonly NamedObject[]): Promise<Kept> {
    try {
      return await readKept(wanted);
    } catch (error) {
      this.#forgot = (error as Error).message;
      return NOTHING_KEPT;
    }
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

/** The removal of tables, whether they are there or not: `table` alone makes one, so that `delete` cannot fail. */
function removalOf(tables: readonly TableName[]): string {
  return [...new Set(tables.map(tableKey))].map((key) => `table ${key}\ndelete table ${key}\n`).join('');
}

interface Parts {
  /** what makes way for the user's file */
  removals: string;
  user: string;
  /** chains to guard */
  chains: readonly BaseChain[];
  /** the values of the user's counters and sets, and those of our own table's */
  kept?: Kept;
  own?: Kept;
}

function compose(
  options: RulesetOptions,
  { removals, user, chains, kept = NOTHING_KEPT, own = NOTHING_KEPT }: Parts,
): { text: string; before: number } {
  const values = ({ objects }: Kept, key: string): string => {
    const text = objects.get(key);
    return text === undefined ? '' : `table ${key} {\n${text}}\n`;
  };
  const ownKey = tableKey(OWN_TABLE);
  const theirs = [...kept.objects.keys()].filter((key) => key !== ownKey);
  const head = roleDefines(options.roles) + removals + theirs.map((key) => values(kept, key)).join('');
  const rules = options.rules === null ? '' : `${user}\n`;
  return {
    text: head + rules + carpioTable(options, values(own, ownKey)) + guardInserts(chains, options) + kept.elements,
    before: head.split('\n').length - 1,
  };
}

function describe(said: string, options: RulesetOptions, before: number): string {
  return firstError(said, options.rules?.path ?? 'table inet carpio', before);
}

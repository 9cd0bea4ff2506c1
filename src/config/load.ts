/**
 * From the file to a checked configuration. Nothing is touched and nothing is thrown: the answer is a configuration
 * with its warnings, or the list of what is wrong with it.
 */

import { accessSync, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { nearest } from '../contract/nearest.ts';
import { formatAddress, formatCidr, networkOf, parseAddress, parseCidr } from '../net/cidr.ts';
import { checkFeed, checkInterfaces, checkReplicate, checkSync, checkTracks } from './check-sections.ts';
import { checkVips } from './check-vips.ts';
import { type ConfigError, describe } from './problem.ts';
import { Report } from './report.ts';
import { ConfigSchema, everyKey, knownKeys, MAX_PASSWORD, type RawConfig } from './schema.ts';
import { Secret } from './secret.ts';
import { fileTrouble, readKey, readPassword, readToken, type SecretResult } from './secret-files.ts';
import { type KeyPath, TomlLines } from './toml-lines.ts';
import type { Config, FeedConfig, SyncConfig, TrackConfig, VipConfig } from './types.ts';

export { DEFAULT_CONFIG } from './default-paths.ts';

/** Longest configuration file, in bytes. */
const MAX_FILE = 1 << 20;
/** Lists and tables inside one another. */
const MAX_DEPTH = 16;

export type LoadResult =
  | { ok: true; config: Config; warnings: ConfigError[] }
  | { ok: false; errors: ConfigError[]; warnings: ConfigError[] };

/** In the order of the file, which is how it is mended. */
const inOrder = (list: readonly ConfigError[]) => [...list].sort((a, b) => a.line - b.line);

const failed = (report: Report): LoadResult => ({
  ok: false,
  errors: inOrder(report.errors),
  warnings: inOrder(report.warnings),
});

/** `z.core.$ZodIssue`, as far as it is used here. */
interface Issue {
  code?: string | undefined;
  path: PropertyKey[];
  message: string;
  keys?: string[];
  issues?: { message: string }[];
  params?: { why?: string };
}

function valueAt(document: unknown, path: KeyPath): unknown {
  let at = document;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string | number, unknown>)[part];
  }
  return at;
}

/** Where an unknown key was probably meant to be: the nearest key here, or the section that has a key of this name. */
function unknownKey(path: KeyPath, key: string): string {
  const known = knownKeys(path);
  const near = nearest(key, known);
  if (near) return `unknown key; did you mean "${near}"?`;
  const elsewhere = everyKey().find((full) => full.endsWith(`.${key}`));
  if (elsewhere) {
    const section = elsewhere.slice(0, -key.length - 1);
    return `unknown key here; it belongs in ${section === 'vip' || section === 'track' ? `[[${section}]]` : `[${section}]`}`;
  }
  return known.length > 0 ? `unknown key; allowed: ${known.join(', ')}` : 'unknown key';
}

/** Puts file, line, key and the value found in front of what the schema allows; one error a key. */
function reportIssues(issues: readonly Issue[], document: unknown, report: Report): void {
  const seen = new Set<string>();
  for (const issue of issues) {
    const path = issue.path as (string | number)[];
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys ?? []) report.error([...path, key], unknownKey(path, key));
      continue;
    }
    const id = JSON.stringify(path);
    if (seen.has(id)) continue;
    seen.add(id);
    if (issue.code === 'invalid_key') {
      report.error(path, `found this name, allowed ${issue.issues?.[0]?.message ?? 'another'}`);
      continue;
    }
    const value = valueAt(document, path);
    if (value === undefined) {
      report.error(path, `missing, needed ${issue.message}`);
      continue;
    }
    const why = issue.params?.why === undefined ? '' : `, ${issue.params.why}`;
    const whole = typeof value === 'number' && /^[0-9]+\.\.[0-9]/.test(issue.message) && !Number.isInteger(value);
    report.error(
      path,
      `found ${describe(value, path)}${why}, allowed ${whole ? 'whole numbers ' : ''}${issue.message}`,
    );
  }
}

/**
 * The parser's own message holds the lines around the mistake, and one of them may be a password: only its first is
 * used.
 */
function syntaxError(file: string, error: unknown): ConfigError {
  if (!(error instanceof TomlError)) return { file, line: 1, key: '', message: 'not a TOML document' };
  const what = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '');
  return { file, line: error.line, key: '', message: `not TOML: ${what} (column ${error.column})` };
}

/** One spelling for one address, so that later comparisons are comparisons of text. */
function canonical(raw: RawConfig): void {
  const cidr = (text: string) => formatCidr(parseCidr(text)!);
  const address = (text: string) => formatAddress(parseAddress(text)!);
  for (const vip of raw.vip) {
    vip.addresses = vip.addresses.map(cidr);
    vip.peers = vip.peers.map(address);
  }
  if (!raw.sync) return;
  if (raw.sync.peer !== null) raw.sync.peer = address(raw.sync.peer);
  raw.sync.ignore = raw.sync.ignore.map((text) => {
    const host = parseAddress(text);
    return formatCidr(networkOf(host ? { ...host, prefix: host.bytes.length * 8 } : parseCidr(text)!));
  });
}

function take(result: SecretResult, path: KeyPath, report: Report): Secret | null {
  if (!result.ok) {
    report.error(path, result.error);
    return null;
  }
  if (result.warning) report.warn(path, result.warning);
  return result.secret;
}

function loadVip(raw: RawConfig['vip'][number], index: number, report: Report): VipConfig | null {
  const key = raw.password_file === null ? 'password' : 'password_file';
  const path = ['vip', index, key];
  const secret =
    raw.password_file === null
      ? new Secret(Buffer.from(raw.password ?? ''))
      : take(readPassword(raw.password_file, MAX_PASSWORD), path, report);
  if (!secret) return null;
  if (secret.length === 0) report.warn(path, 'the password is empty: anyone on the network can become master');
  if (secret.length === MAX_PASSWORD)
    report.warn(path, 'the password has 20 bytes; ifconfig and ucarp take 19 at most');
  return { ...raw, password: secret };
}

/** Files that Carpio hands on to others: they must be there, or the configuration is not sound. */
function checkFiles(raw: RawConfig, report: Report): void {
  const reachable = (path: string, mode: number): string | null => {
    try {
      accessSync(path, mode);
      return null;
    } catch (error) {
      return fileTrouble(error);
    }
  };
  const needed: [KeyPath, string | null | undefined][] = [
    [['firewall', 'rules'], raw.firewall?.rules],
    [['feed', 'tls', 'cert'], raw.feed?.tls?.cert],
    [['feed', 'tls', 'key'], raw.feed?.tls?.key],
  ];
  for (const [path, name] of needed) {
    const trouble = name ? reachable(name, constants.R_OK) : null;
    if (trouble) report.error(path, `cannot read ${name}: ${trouble}`);
  }
  const hook = raw.hooks?.on_event;
  const trouble = hook ? reachable(hook, constants.X_OK) : null;
  if (trouble) report.warn(['hooks', 'on_event'], `cannot run ${hook}: ${trouble}`);
}

function assemble(raw: RawConfig, tracks: TrackConfig[], report: Report): Config | null {
  const vips = raw.vip.map((vip, index) => loadVip(vip, index, report)).filter((vip) => vip !== null);
  const key = raw.sync?.key_file ? take(readKey(raw.sync.key_file), ['sync', 'key_file'], report) : null;
  const old = raw.sync?.key_file_old;
  const keyOld = old ? take(readKey(old), ['sync', 'key_file_old'], report) : null;
  const token = raw.feed?.token_file ? take(readToken(raw.feed.token_file), ['feed', 'token_file'], report) : null;
  checkFiles(raw, report);
  if (report.errors.length > 0) return null;
  const sync: SyncConfig | null = raw.sync && { ...raw.sync, key, keyOld };
  const feed: FeedConfig | null = raw.feed && { ...raw.feed, token };
  return { ...raw, vip: vips, track: tracks, sync, feed };
}

const lineTables = new WeakMap<Config, { file: string; lines: TomlLines }>();

/**
 * Checks the text of a configuration. `file` is its name in errors. Reads the secret files that it names;
 * `readableByAll` says whether everybody can read the file itself.
 */
export function parseConfig(text: string, file: string, readableByAll = false): LoadResult {
  let document: unknown;
  let lines: TomlLines;
  try {
    document = parse(text, { maxDepth: MAX_DEPTH, unsafeKeyBehaviour: 'throw' });
    lines = new TomlLines(text);
  } catch (error) {
    return { ok: false, errors: [syntaxError(file, error)], warnings: [] };
  }
  const report = new Report(file, lines);
  const result = ConfigSchema.safeParse(document);
  if (!result.success) {
    reportIssues(result.error.issues as Issue[], document, report);
    return failed(report);
  }
  const raw = result.data;
  checkInterfaces(raw, report);
  checkVips(raw, report);
  const tracks = checkTracks(raw, report);
  checkSync(raw, report);
  checkFeed(raw, report);
  checkReplicate(raw, report);
  const inline = raw.vip.findIndex((vip) => vip.password !== null);
  if (readableByAll && inline >= 0) {
    report.warn(['vip', inline, 'password'], `everybody on this machine can read this file: chmod 600 ${file}`);
  }
  canonical(raw);
  const config = assemble(raw, tracks, report);
  if (!config) return failed(report);
  lineTables.set(config, { file, lines });
  return { ok: true, config, warnings: inOrder(report.warnings) };
}

/** Reads and checks the configuration at `path`. Never throws. */
export function loadConfig(path: string): LoadResult {
  const refuse = (message: string): LoadResult => ({
    ok: false,
    errors: [{ file: path, line: 1, key: '', message }],
    warnings: [],
  });
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) return refuse('found something that is not a regular file, allowed a TOML file');
    if (stat.size > MAX_FILE) return refuse(`found ${stat.size} bytes, allowed at most ${MAX_FILE}`);
    const bytes = readFileSync(fd);
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return parseConfig(text, path, (stat.mode & 0o004) !== 0);
  } catch (error) {
    if (error instanceof TypeError) return refuse('found bytes that are not UTF-8, allowed a TOML file in UTF-8');
    const trouble = fileTrouble(error);
    return refuse(`cannot read it: ${trouble}${trouble === 'no such file' ? '; give its place with --config' : ''}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * A finding made later (an interface that is not there) as an error at its line, for a configuration from `loadConfig`.
 */
export function errorAt(config: Config, path: KeyPath, message: string): ConfigError {
  const source = lineTables.get(config);
  const report = new Report(source?.file ?? 'configuration', source?.lines ?? null);
  report.error(path, message);
  return report.errors[0]!;
}

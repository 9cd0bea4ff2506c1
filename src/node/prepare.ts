/**
 * From the files of a node to everything that must be known before anything is touched: configuration, roles, devices.
 */

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parse, stringify } from 'smol-toml';
import { loadConfig, parseConfig } from '../config/load.ts';
import { notYet } from '../config/not-yet.ts';
import { type ConfigError, formatError } from '../config/problem.ts';
import { missingDevices, resolveVips } from '../config/resolve.ts';
import { Secret } from '../config/secret.ts';
import type { Config } from '../config/types.ts';
import { messageOf } from '../contract/message-of.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { Rtnetlink } from '../kernel/rtnetlink.ts';
import type { SharedDocument } from '../replicate/document.ts';
import { merge } from '../replicate/merge.ts';
import { isReplica, type Prepared, type PrepareResult } from '../replicate/prepared.ts';
import { ReplicaStore } from '../replicate/store.ts';
import type { Log } from './report/log.ts';

/**
 * @param shared what the source shares: `undefined` what stands in the state directory, null nothing
 */
export function prepare(path: string, shared?: SharedDocument | null): PrepareResult {
  const loaded = loadConfig(path);
  const warnings = loaded.warnings.map(formatError);
  if (!loaded.ok) return { ok: false, errors: loaded.errors.map(formatError), warnings };
  const own = settle(loaded.config, warnings);
  if (!own.ok || !isReplica(loaded.config)) return own;
  try {
    const document = shared === undefined ? storedFor(loaded.config) : shared;
    if (document === null) return own;
    const result = overlay(path, own.prepared, document, warnings);
    if (result.ok || shared !== undefined) return result;
    const { path: stored } = new ReplicaStore(loaded.config.node.state_dir);
    const mend = `${stored} no longer fits this file; mend the file, or remove ${stored} to start with the file alone`;
    return { ...result, errors: [...result.errors, mend] };
  } catch (error) {
    return { ok: false, errors: [messageOf(error)], warnings };
  }
}

/** What a source has sent earlier; that of another source than the file names now does not count any more. */
function storedFor(config: Config): SharedDocument | null {
  const stored = new ReplicaStore(config.node.state_dir).read();
  return stored !== null && stored.document.node === config.replicate?.from ? stored.document : null;
}

function overlay(path: string, own: Prepared, shared: SharedDocument, warnings: string[]): PrepareResult {
  const file = parse(readFileSync(path, 'utf8'));
  const result = merge(file, own.vips, shared);
  const named = (text: string): string => `with the shared configuration of ${shared.node}: ${text}`;
  if (!result.ok) return { ok: false, errors: result.errors.map(named), warnings };
  const { document, passwords, rules } = result.merged;
  const loaded = parseConfig(stringify(document), path);
  // The lines of the merged text are nobody's; file and key say where to look.
  const withoutLine = ({ key, message }: ConfigError): string => named([key, message].filter(Boolean).join(': '));
  if (!loaded.ok) return { ok: false, errors: loaded.errors.map(withoutLine), warnings };
  const { config } = loaded;
  config.vip.forEach((vip, i) => {
    vip.password = new Secret(passwords[i] ?? Buffer.alloc(0));
  });
  if (rules !== null && config.firewall !== null) {
    const directory = dirname(own.config.firewall?.rules ?? path);
    config.firewall = { ...config.firewall, replicated: { text: rules, from: shared.node, directory } };
  }
  const settled = settle(config, warnings);
  return settled.ok
    ? { ...settled, prepared: { ...settled.prepared, replicated: shared } }
    : { ...settled, errors: settled.errors.map(named) };
}

function settle(config: Config, warnings: string[]): PrepareResult {
  const { refused, said } = notYet(config);
  warnings.push(...said.map(formatError));
  if (refused.length > 0) return { ok: false, errors: refused.map(formatError), warnings };
  let links: LinkInfo[];
  try {
    links = listLinks();
  } catch (error) {
    return { ok: false, errors: [`cannot list the network devices: ${messageOf(error)}`], warnings };
  }
  const addresses = links.map((link) => ({
    device: link.name,
    addresses: link.addresses.map((address) => `${address.address}/${address.prefix}`),
  }));
  const missing = missingDevices(config, addresses);
  if (missing.length > 0) return { ok: false, errors: missing.map(formatError), warnings };
  const resolved = resolveVips(config, addresses);
  if (!resolved.ok) return { ok: false, errors: resolved.errors.map(formatError), warnings };
  return { ok: true, prepared: { config, vips: resolved.vips, links, replicated: null }, warnings };
}

/** `prepare`, with everything said in the log; `null`: refused. */
export function prepareAloud(path: string, log: Log, shared?: SharedDocument | null): Prepared | null {
  const result = prepare(path, shared);
  for (const warning of result.warnings) log.warning(warning);
  if (result.ok) return result.prepared;
  for (const error of result.errors) log.error(error);
  return null;
}

function listLinks(): LinkInfo[] {
  const netlink = new Rtnetlink();
  try {
    const addresses = [...netlink.addresses()];
    return [...netlink.links()].map((link) => ({
      ...link,
      addresses: addresses.filter((address) => address.index === link.index),
    }));
  } finally {
    netlink.close();
  }
}

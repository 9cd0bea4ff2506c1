/**
 * What both nodes share, taken out of a configuration: a flat list of keys with values, in one canonical form, so that
 * two configurations are the same when their hashes are. Pure.
 *
 *   carp.preempt, vip[wan/1].addresses, track[link wan].weight, sync.ignore, firewall.rules …
 *
 * A virtual IP is named by its role and vhid, a track by its name: their order in the file means nothing.
 */

import { createHmac } from 'node:crypto';
import type { ResolvedVip } from '../config/resolve.ts';
import { SHARED_KEYS } from '../config/scope.ts';
import type { Config } from '../config/types.ts';
import type { Json } from '../contract/values.ts';
import { vhidKey } from '../contract/vhid-key.ts';

export const DOCUMENT_FORMAT = 1;
/** Longest rules that are replicated, bytes: they travel in one message. */
export const MAX_SHARED_RULES = 2 * 1024 * 1024;

export type Entries = Record<string, Json>;

export interface SharedDocument {
  format: number;
  /** The node that it comes from, and its version of Carpio. */
  node: string;
  version: string;
  /** The keys of the schema that this version shares: another one may share more or less. */
  shares: readonly string[];
  entries: Entries;
}

/** Keys that are made for the journey: whether a virtual IP is unicast (its peers are each node's own). */
const MADE_KEYS: ReadonlySet<string> = new Set(['vip.unicast']);
const KNOWN: ReadonlySet<string> = new Set([...SHARED_KEYS, ...MADE_KEYS]);

/** `vip[wan/1].addresses` is the key `vip.addresses` of the schema. */
export const schemaKey = (key: string): string => key.replace(/\[.*\]/, '');

export const isKnown = (key: string): boolean => KNOWN.has(schemaKey(key));

export const isSecret = (key: string): boolean => schemaKey(key) === 'vip.password';

/** @param rules the text of the rules in force; null: no [firewall] rules */
export function sharedEntries(config: Config, vips: readonly ResolvedVip[], rules: string | null): Entries {
  const entries: Entries = { 'carp.preempt': config.carp.preempt };
  for (const vip of vips) {
    const at = (key: string): string => `vip[${vhidKey(vip)}].${key}`;
    entries[at('addresses')] = [...vip.addresses];
    entries[at('advbase')] = vip.advbase;
    entries[at('mac')] = vip.mac;
    entries[at('unicast')] = vip.peers.length > 0;
    entries[at('password')] = vip.password.reveal().toString('base64');
  }
  for (const track of config.track) {
    for (const [key, value] of Object.entries(track)) {
      if (key !== 'name') entries[`track[${track.name}].${key}`] = value;
    }
  }
  if (config.sync !== null) {
    entries['sync.sync_when'] = config.sync.sync_when;
    entries['sync.ignore'] = [...config.sync.ignore];
    entries['sync.defer'] = config.sync.defer;
    entries['sync.defer_ms'] = config.sync.defer_ms;
  }
  if (config.firewall !== null) {
    entries['firewall.forward'] = config.firewall.forward;
    if (rules !== null) entries['firewall.rules'] = rules;
  }
  return entries;
}

export function makeDocument(node: string, version: string, entries: Entries): SharedDocument {
  return { format: DOCUMENT_FORMAT, node, version, shares: SHARED_KEYS, entries };
}

/**
 * The entries in force on a node that holds `document`: its own, as far as the source's version shares them, and those
 * that this version does not know, as they came.
 */
export function inForce(own: Entries, document: SharedDocument | null): Entries {
  if (document === null) return own;
  const shares = new Set([...document.shares, ...MADE_KEYS]);
  const known = Object.entries(own).filter(([key]) => shares.has(schemaKey(key)));
  const unknown = Object.entries(document.entries).filter(([key]) => !isKnown(key));
  return Object.fromEntries([...known, ...unknown]);
}

/** Keys of a newer version that this one cannot carry out; kept, and named. */
export function unknownKeys(document: SharedDocument): string[] {
  return Object.keys(document.entries)
    .filter((key) => !isKnown(key))
    .sort();
}

/** Keys of the schema that this version shares and the source's does not know: each node's own value stands. */
export function unsharedKeys(document: SharedDocument): string[] {
  return SHARED_KEYS.filter((key) => !document.shares.includes(key));
}

const sorted = (entries: Entries): [string, Json][] =>
  Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/**
 * 32 hex digits. Keyed: the pass phrases are in it, and who sees the hash in a status must not be able to try them.
 * @param key from the pair's secret
 */
export function entriesHash(entries: Entries, key: Uint8Array): string {
  return createHmac('sha256', key)
    .update(JSON.stringify(sorted(entries)))
    .digest('hex')
    .slice(0, 32);
}

/**
 * The entries with each pass phrase as a keyed tag: two are equal when their tags are, and nothing else can be told.
 */
export function maskEntries(entries: Entries, key: Uint8Array): Entries {
  const tag = (value: Json): string =>
    `secret ${createHmac('sha256', key)
      .update(`password ${JSON.stringify(value)}`)
      .digest('hex')
      .slice(0, 16)}`;
  return Object.fromEntries(
    Object.entries(entries).map(([name, value]) => [name, isSecret(name) ? tag(value) : value]),
  );
}

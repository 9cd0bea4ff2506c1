/**
 * A node's own file with the shared parts of its peer laid over it: what is own stays as the file says, what is shared
 * is the source's. Pure: documents in, document out; the loader then checks the result like any file.
 */

import type { ResolvedVip } from '../config/resolve.ts';
import type { Json } from '../contract/values.ts';
import { parseVhidKey } from '../contract/vhid-key.ts';
import { type Entries, isKnown, type SharedDocument, schemaKey } from './document.ts';

type Table = Record<string, unknown>;

/** For a vhid that the node's own file does not name, when it names none at all: behind a source with advskew 0. */
const USUAL_SKEW = 100;
/** Stands in the merged document, never in force: pass phrases are bytes, and are put in afterwards. */
const PASSWORD_PLACE = 'replicated';

interface Merged {
  document: Table;
  /** Pass phrases in the order of the merged [[vip]]. */
  passwords: Buffer[];
  /** The rules, when the source shares them. */
  rules: string | null;
}

type MergeResult = { ok: true; merged: Merged } | { ok: false; errors: string[] };

const table = (value: unknown): Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {};

/** `vip[wan/1].mac` of all entries under `vip`, as name -> field -> value. */
function grouped(entries: Entries, section: string): Map<string, Record<string, Json>> {
  const groups = new Map<string, Record<string, Json>>();
  for (const [key, value] of Object.entries(entries)) {
    const match = /^([a-z]+)\[(.*)\]\.([a-z_]+)$/.exec(key);
    if (match === null || match[1] !== section || !isKnown(key)) continue;
    const [, , name = '', field = ''] = match;
    const group = groups.get(name) ?? {};
    group[field] = value;
    groups.set(name, group);
  }
  return groups;
}

/**
 * @param own the node's own file, parsed
 * @param ownVips its virtual IPs with their roles
 */
export function merge(own: Table, ownVips: readonly ResolvedVip[], shared: SharedDocument): MergeResult {
  const { entries } = shared;
  const errors: string[] = [];
  const vips = mergeVips(entries, ownVips, errors);
  if (errors.length > 0) return { ok: false, errors };
  const document: Table = { ...own, carp: { ...table(own.carp) }, vip: vips.list, track: mergeTracks(entries) };
  for (const [key, value] of Object.entries(entries)) {
    if (!isKnown(key) || key !== schemaKey(key) || key === 'firewall.rules') continue;
    const [section = '', field = ''] = key.split('.');
    // A node without [sync] does not get one: its addresses and its key are its own.
    if (section === 'sync' && own.sync === undefined) continue;
    document[section] = { ...table(document[section]), [field]: value };
  }
  const rules = typeof entries['firewall.rules'] === 'string' ? entries['firewall.rules'] : null;
  if (rules !== null) {
    const { rules: _own, ...rest } = table(document.firewall);
    document.firewall = rest;
  }
  return { ok: true, merged: { document, passwords: vips.passwords, rules } };
}

function mergeVips(
  entries: Entries,
  ownVips: readonly ResolvedVip[],
  errors: string[],
): { list: Table[]; passwords: Buffer[] } {
  const list: Table[] = [];
  const passwords: Buffer[] = [];
  for (const [name, { password, unicast, ...fields }] of grouped(entries, 'vip')) {
    const { interface: role, vhid } = parseVhidKey(name) ?? { interface: name, vhid: 0 };
    const own = ownVips.find((vip) => vip.interface === role && vip.vhid === vhid);
    if (unicast === true && (own === undefined || own.peers.length === 0)) {
      errors.push(
        `vhid ${vhid} on ${role} is unicast, and this node's own file names no peers for it: give it a [[vip]] with this vhid, interface and its own peers`,
      );
    }
    passwords.push(Buffer.from(typeof password === 'string' ? password : '', 'base64'));
    list.push({
      ...fields,
      vhid,
      interface: role,
      password: PASSWORD_PLACE,
      advskew: own?.advskew ?? usualSkew(ownVips),
      peers: unicast === true ? (own?.peers ?? []) : [],
    });
  }
  return { list, passwords };
}

/** The skew that most of the node's own virtual IPs have. */
function usualSkew(vips: readonly ResolvedVip[]): number {
  const counts = new Map<number, number>();
  for (const { advskew } of vips) counts.set(advskew, (counts.get(advskew) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || b[0] - a[0]);
  return most?.[0] ?? USUAL_SKEW;
}

function mergeTracks(entries: Entries): Table[] {
  return [...grouped(entries, 'track')].map(([name, fields]) => ({ ...fields, name }));
}

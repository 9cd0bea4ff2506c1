/** Lists of addresses in the state engine's memory: networks that are not synced, this node's own addresses. */
import { parseIp, parsePrefix } from '../../net/ip.ts';
import type { EngineExports, ModuleNumbers } from './engine-exports.ts';
import type { Home } from './homes.ts';

/** Entries that each list has room for. */
const LIST_MAX = 64;

/**
 * Replaces all four lists. Own addresses beyond 64 of a family are left out.
 * @throws Error naming the entry of `ignore` that is no network, or one too many
 */
export function writeLists(
  view: Uint8Array,
  at: ModuleNumbers,
  x: EngineExports,
  ignore: readonly string[],
  local: readonly string[],
): void {
  const counts = { ignore4: 0, ignore6: 0, local4: 0, local6: 0 };
  for (const text of ignore) {
    const prefix = parsePrefix(text);
    if (prefix === null)
      throw new Error(`sync.ignore: "${text}" is not a network; write it as 10.0.0.0/8 or 2001:db8::/32`);
    const { bytes, length } = prefix;
    const list = bytes.length === 4 ? 'ignore4' : 'ignore6';
    if (counts[list] >= LIST_MAX) throw new Error(`sync.ignore: more than ${LIST_MAX} networks of one family`);
    const base = list === 'ignore4' ? at.IGNORE4 : at.IGNORE6;
    putPrefix(view, base + counts[list]++ * bytes.length * 2, bytes, length);
  }
  for (const text of local) {
    const bytes = parseIp(text.split('/')[0] ?? '');
    if (bytes === null) continue;
    const list = bytes.length === 4 ? 'local4' : 'local6';
    if (counts[list] >= LIST_MAX) continue;
    const base = list === 'local4' ? at.LOCAL4 : at.LOCAL6;
    view.set(bytes, base + counts[list]++ * bytes.length);
  }
  x.setLists(counts.ignore4, counts.ignore6, counts.local4, counts.local6);
}

/** Pairs of networks of one family, as `address/length`. */
export type AcceptNetworks = readonly { from: string; to: string }[];

/**
 * Replaces the list of who may have opened what the peer hands over (asm/kernel/accept.ts); `null`: anybody anything.
 * @throws Error with one pair too many
 */
export function writeAccept(
  view: Uint8Array,
  at: ModuleNumbers,
  x: EngineExports,
  accept: AcceptNetworks | null,
): void {
  const counts = { 4: 0, 16: 0 };
  for (const { from, to } of accept ?? []) {
    const sides = [parsePrefix(from), parsePrefix(to)];
    const size = sides[0]?.bytes.length === 4 ? 4 : 16;
    if (sides.some((side) => side?.bytes.length !== size)) continue;
    if (counts[size] >= LIST_MAX) throw new Error(`sync.accept: more than ${LIST_MAX} pairs of networks of one family`);
    const entry = (size === 4 ? at.ACCEPT4 : at.ACCEPT6) + counts[size]++ * 4 * size;
    sides.forEach((side, i) => {
      if (side !== null) putPrefix(view, entry + i * 2 * size, side.bytes, side.length);
    });
  }
  x.setAccept(accept === null ? 0 : 1, counts[4], counts[16]);
}

const WHOSE = { own: 1, peer: 2 } as const;

/**
 * Replaces the list of virtual addresses and networks (asm/state/homes.ts); what is beyond 64 of a family is left out.
 */
export function writeHomes(view: Uint8Array, at: ModuleNumbers, x: EngineExports, homes: readonly Home[]): void {
  const counts = { 4: 0, 16: 0 };
  for (const { bytes, prefix, own } of homes) {
    const size = bytes.length === 4 ? 4 : 16;
    if (counts[size] >= LIST_MAX) continue;
    const entry = (size === 4 ? at.HOME4 : at.HOME6) + counts[size]++ * (2 * size + 4);
    putPrefix(view, entry, bytes, prefix);
    view.set([own ? WHOSE.own : WHOSE.peer, 0, 0, 0], entry + 2 * size);
  }
  x.setHomes(counts[4], counts[16]);
}

/** Network and mask, network order, the host bits of the network cleared. */
function putPrefix(view: Uint8Array, at: number, bytes: Uint8Array, length: number): void {
  for (let i = 0; i < bytes.length; i++) {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    const mask = (0xff << (8 - bits)) & 0xff;
    view[at + i] = (bytes[i] ?? 0) & mask;
    view[at + bytes.length + i] = mask;
  }
}

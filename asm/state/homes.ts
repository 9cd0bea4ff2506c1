/**
 * Which node a connection belongs to while each of the two is master of something, by the virtual addresses:
 *
 *   1. its source was translated to a virtual address, or it was sent to one: to the master of that vhid;
 *   2. nothing is translated, and its source (else its destination) is in a network whose virtual addresses are all one
 *      node's: to that node;
 *   3. else nothing is known of it here, and who sees its events keeps it.
 *
 * The host writes the list and says of each entry whose it is; without a list rule 3 holds for all.
 *
 *   HOME4   64 x (network 4 B, mask 4 B, whose u32), HOME6   64 x (network 16 B, mask 16 B, whose u32)
 */

import { moveTag } from './content';
import { OWN, ownerOf } from './counts';
import { AF_INET, flagsOf, isLive, S_FAMILY, S_ODST, S_OSRC, S_RDST } from './layout';
import { C_CLAIMS, count, HOME4, HOME6, HOMES_MAX } from './memory';
import { hasDestinationNat, hasSourceNat } from './nat';
import { tagOwn } from './owner';
import { kernelWanted, markDirty, wantKernel } from './queue';
import { ordinals, stateAt } from './table';

export const HOME_UNKNOWN: u32 = 0;
const HOME_OWN: u32 = 1;
export const HOME_PEER: u32 = 2;
const STEP4: u32 = 12;
const STEP6: u32 = 36;
/** Kernel operations after which a slice ends: the host must give them to the kernel. */
const KERNEL_MOST: u32 = 512;

let homes4: u32 = 0;
let homes6: u32 = 0;

/** How many entries of each list the host has written. */
export function setHomes(n4: u32, n6: u32): void {
  homes4 = min(n4, HOMES_MAX);
  homes6 = min(n6, HOMES_MAX);
}

/** The entry that an address fits; `exact`: only entries that are one address, else only networks. */
function find4(address: u32, exact: bool): u32 {
  for (let i: u32 = 0, p = HOME4; i < homes4; i++, p += STEP4) {
    const mask = load<u32>(p, 4);
    if ((mask == 0xffffffff) == exact && (address & mask) == load<u32>(p)) return load<u32>(p, 8);
  }
  return HOME_UNKNOWN;
}

function find6(lo: u64, hi: u64, exact: bool): u32 {
  for (let i: u32 = 0, p = HOME6; i < homes6; i++, p += STEP6) {
    const maskLo = load<u64>(p, 16);
    const maskHi = load<u64>(p, 24);
    const one = (maskLo & maskHi) == u64.MAX_VALUE;
    if (one == exact && (lo & maskLo) == load<u64>(p) && (hi & maskHi) == load<u64>(p, 8)) return load<u32>(p, 32);
  }
  return HOME_UNKNOWN;
}

function look(r: u32, field: u32, exact: bool): u32 {
  const at = r + field;
  if (load<u8>(r, S_FAMILY) == AF_INET) return find4(load<u32>(at), exact);
  return find6(load<u64>(at), load<u64>(at, 8), exact);
}

/** Whose the state (or image) is by the virtual addresses. */
export function homeOf(r: u32): u32 {
  if (homes4 + homes6 == 0) return HOME_UNKNOWN;
  let whose = look(r, <u32>S_RDST, true);
  if (!whose) whose = look(r, <u32>S_ODST, true);
  if (whose || hasSourceNat(r) || hasDestinationNat(r)) return whose;
  whose = look(r, <u32>S_OSRC, false);
  return whose ? whose : look(r, <u32>S_ODST, false);
}

/**
 * Takes what belongs to this node by the virtual addresses and is not its own yet; from a cursor, as the walks in
 * difference.ts.
 */
export function homesClaim(from: u32, n: u32): u32 {
  const total = ordinals();
  let at = from;
  for (; n && at < total && kernelWanted < KERNEL_MOST; n--) {
    const r = stateAt(at++);
    if (!isLive(flagsOf(r)) || ownerOf(r) == OWN || homeOf(r) != HOME_OWN) continue;
    count(C_CLAIMS);
    moveTag(r, tagOwn);
    markDirty(r);
    // The kernel's usual timeout from now on: it is this node that keeps the entry alive.
    wantKernel(r, 0);
  }
  return at < total ? at : 0xffffffff;
}

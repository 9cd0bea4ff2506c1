/**
 * Recounts everything from the states and compares with the running sums: for tests and `verify`. Costs a full walk.
 */

import { keyGen } from './content';
import { live, ownerOf, tombs } from './counts';
import { BUCKET_SIZE, T_HI, T_LIVE, T_LO, T_MISSING, T_TOMBS, TAG_COUNT, tagAt } from './digest';
import { clearScratchExtra, fillScratch } from './extra';
import { fingerprint } from './hash';
import {
  F_DIRTY,
  F_DWANT,
  F_KEYGEN,
  F_KQ,
  F_KWANT,
  F_TOMB,
  F_USED,
  flagsOf,
  isMissing,
  S_FP_HI,
  S_FP_LO,
  STATE_SIZE,
  tagOf,
} from './layout';
import { BUCKETS, OUT, SCRATCH } from './memory';
import { dirtyLinked, dirtyWanted, kernelLinked, kernelWanted } from './queue';
import { allocated, find, ordinals, stateAt } from './table';

/** Sums while counting, in OUT: for each tag 32 B laid out as in TAGS. */
function tally(r: u32, f: u32): void {
  const t = OUT + (tagOf(r) << 5);
  if (f & F_TOMB) {
    store<u32>(t, load<u32>(t, T_TOMBS) + 1, T_TOMBS);
    return;
  }
  const lo = load<u64>(t, T_LO) + load<u64>(r, S_FP_LO);
  store<u64>(t, load<u64>(t, T_HI) + load<u64>(r, S_FP_HI) + u64(lo < load<u64>(r, S_FP_LO)), T_HI);
  store<u64>(t, lo, T_LO);
  store<u32>(t, load<u32>(t, T_LIVE) + 1, T_LIVE);
  if (isMissing(r)) store<u32>(t, load<u32>(t, T_MISSING) + 1, T_MISSING);
}

/** Number of the first thing wrong with this state, or 0. */
function checkState(r: u32, f: u32): u32 {
  memory.copy(SCRATCH, r, STATE_SIZE);
  clearScratchExtra();
  fillScratch(r, 0xff);
  if (find(SCRATCH) != r) return 1;
  if (tagOf(r) >= TAG_COUNT || ownerOf(r) > 2) return 2;
  if (f & F_DWANT && !(f & F_DIRTY)) return 3;
  if (f & F_KWANT && !(f & F_KQ)) return 4;
  if (f & F_TOMB || (f & F_KEYGEN) != keyGen) return 0;
  fingerprint(SCRATCH);
  const same =
    load<u64>(SCRATCH, S_FP_LO) == load<u64>(r, S_FP_LO) && load<u64>(SCRATCH, S_FP_HI) == load<u64>(r, S_FP_HI);
  return same ? 0 : 5;
}

/**
 * 0 when the table is consistent, else what is wrong: 1 a state is not found by its key, 2 bad tag, 3/4 queue flags,
 * 5 fingerprint, 6 number of states, 7 tag sums, 8 bucket sums, 9 dirty queue, 10 kernel queue.
 */
export function selfCheck(): u32 {
  memory.fill(OUT, 0, TAG_COUNT << 5);
  const total = ordinals();
  let used: u32 = 0;
  let alive: u32 = 0;
  let linkedDirty: u32 = 0;
  let wantedDirty: u32 = 0;
  let linkedKernel: u32 = 0;
  let wantedKernel: u32 = 0;
  for (let i: u32 = 0; i < total; i++) {
    const r = stateAt(i);
    const f = flagsOf(r);
    if (!(f & F_USED)) continue;
    const wrong = checkState(r, f);
    if (wrong) return wrong;
    used++;
    alive += u32(!(f & F_TOMB));
    linkedDirty += u32((f & F_DIRTY) != 0);
    wantedDirty += u32((f & F_DWANT) != 0);
    linkedKernel += u32((f & F_KQ) != 0);
    wantedKernel += u32((f & F_KWANT) != 0);
    tally(r, f);
  }
  if (used != allocated || alive != live || used != live + tombs) return 6;
  if (wantedDirty != dirtyWanted || dirtyLinked(used) != i32(linkedDirty)) return 9;
  if (wantedKernel != kernelWanted || kernelLinked(used) != i32(linkedKernel)) return 10;
  return checkSums();
}

function checkSums(): u32 {
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
    const t = tagAt(tag);
    const o = OUT + (tag << 5);
    if (load<u64>(t, T_LO) != load<u64>(o, T_LO) || load<u64>(t, T_HI) != load<u64>(o, T_HI)) return 7;
    if (load<u64>(t, T_LIVE) != load<u64>(o, T_LIVE) || load<u32>(t, T_MISSING) != load<u32>(o, T_MISSING)) return 7;
    let lo: u64 = 0;
    let hi: u64 = 0;
    let n: u64 = 0;
    for (let i: u32 = 0; i < 256; i++) {
      const b = BUCKETS + ((tag << 8) | i) * BUCKET_SIZE;
      const add = load<u64>(b);
      lo += add;
      hi += load<u64>(b, 8) + u64(lo < add);
      n += load<u64>(b, 16);
    }
    if (lo != load<u64>(t, T_LO) || hi != load<u64>(t, T_HI) || n != u64(load<u32>(t, T_LIVE))) return 8;
  }
  return 0;
}

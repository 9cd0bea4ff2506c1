/**
 * What few connections have: labels, a helper, sequence adjustment, a zone for one direction only. It lies in blocks
 * beside the states, so that a state stays as small as it is. Each page of states has 16 bytes behind its states;
 * the first four name the page's directory (one u32 a state: the block), which exists once a state of the page needs
 * it. A look-up in a table without any such thing is one load.
 *
 *   block   0 present u8 (X_*) | 1 zone direction u8 (1 original, 2 reply) | 2 zone of a reply-only zone u16
 *           4 helper u32 (number in HELPERS, from 1) | 8 sequence block u32 | 12 own flags u32 | 16 labels 16 B
 *   sequence block (24 of 32 B), as in the attributes, big endian: original position, before, after; reply the same
 *
 * SCRATCH has its block at XSCRATCH, its sequence block right behind it.
 */

import { STATE_SIZE } from './layout';
import { allocPage, C_EXTRA_LOST, count, HEAP, HELPERS, HELPERS_MAX, SCRATCH, XSCRATCH } from './memory';

export const X_LABELS: u32 = 1;
export const X_HELPER: u32 = 2;
export const X_SEQ: u32 = 4;
export const X_ZONE: u32 = 8;
const X_ALL: u32 = 15;

export const XB_DIRECTION: usize = 1;
export const XB_ZONE: usize = 2;
export const XB_HELPER: usize = 4;
const XB_SEQ: usize = 8;
const XB_FLAGS: usize = 12;
export const XB_LABELS: usize = 16;

/** This kernel does not know the helper: the entry is made without it. */
const XF_NO_HELPER: u32 = 1;

export const HELPER_NAME: u32 = 16;
const BLOCK: u32 = 32;
const SEQ_SIZE: u32 = 24;
const DIRECTORY: u32 = 2048;
const PAGE: u32 = 65536;
/** Where a page of states names its directory. */
const AT: u32 = PAGE - 16;

let freeBlock: u32 = 0;
let freeDirectory: u32 = 0;
let helpers: u32 = 0;
/** A directory was made: before that no look at the pages is needed. */
let anywhere: bool = false;

/** Cuts a fresh page into pieces; returns the first, each naming the next. 0 without memory. */
function carve(size: u32): u32 {
  const page = allocPage();
  if (!page) return 0;
  for (let p = page; p < page + PAGE; p += size) store<u32>(p, p + size < page + PAGE ? p + size : 0);
  return page;
}

function takeBlock(): u32 {
  if (!freeBlock) freeBlock = carve(BLOCK);
  const block = freeBlock;
  if (!block) return 0;
  freeBlock = load<u32>(block);
  memory.fill(block, 0, BLOCK);
  return block;
}

function giveBlock(block: u32): void {
  store<u32>(block, freeBlock);
  freeBlock = block;
}

function directoryOf(r: u32): u32 {
  return load<u32>((r & ~(PAGE - 1)) + AT);
}

function entryOf(r: u32, directory: u32): u32 {
  return directory + (((r & (PAGE - 1)) / STATE_SIZE) << 2);
}

/** The block of a state, or of SCRATCH; 0: it has none. */
export function extraOf(r: u32): u32 {
  if (r < HEAP) return r == SCRATCH && load<u8>(XSCRATCH) ? XSCRATCH : 0;
  if (!anywhere) return 0;
  const directory = directoryOf(r);
  return directory ? load<u32>(entryOf(r, directory)) : 0;
}

export function present(block: u32): u32 {
  return block ? <u32>load<u8>(block) : 0;
}

/** Where the six numbers of the sequence adjustment stand; only with X_SEQ. */
export function seqOf(block: u32): u32 {
  return block == XSCRATCH ? XSCRATCH + BLOCK : load<u32>(block, XB_SEQ);
}

/** SCRATCH has none of all this. */
export function clearScratchExtra(): void {
  memory.fill(XSCRATCH, 0, BLOCK + SEQ_SIZE);
}

/** Notes in SCRATCH that this part is there. */
export function addToScratch(part: u32): void {
  store<u8>(XSCRATCH, u32(load<u8>(XSCRATCH)) | part);
}

/** Takes from state `r` into SCRATCH the parts in `wanted` that SCRATCH has not. */
export function fillScratch(r: u32, wanted: u32): void {
  const block = extraOf(r);
  const missing = present(block) & wanted & ~(<u32>load<u8>(XSCRATCH));
  if (!missing) return;
  copyParts(XSCRATCH, block, missing);
}

function copyParts(to: u32, from: u32, parts: u32): void {
  store<u8>(to, u32(load<u8>(to)) | parts);
  if (parts & X_LABELS) memory.copy(to + <u32>XB_LABELS, from + <u32>XB_LABELS, 16);
  if (parts & X_HELPER) store<u32>(to, load<u32>(from, XB_HELPER), XB_HELPER);
  if (parts & X_ZONE) {
    store<u8>(to, load<u8>(from, XB_DIRECTION), XB_DIRECTION);
    store<u16>(to, load<u16>(from, XB_ZONE), XB_ZONE);
  }
  if (parts & X_SEQ) memory.copy(seqOf(to), seqOf(from), SEQ_SIZE);
}

/** The state's block goes. */
export function dropExtra(r: u32): void {
  const block = extraOf(r);
  if (!block) return;
  if (load<u32>(block, XB_SEQ)) giveBlock(load<u32>(block, XB_SEQ));
  giveBlock(block);
  store<u32>(entryOf(r, directoryOf(r)), 0);
}

function makeBlock(r: u32): u32 {
  let directory = directoryOf(r);
  if (!directory) {
    if (!freeDirectory) freeDirectory = carve(DIRECTORY);
    directory = freeDirectory;
    if (!directory) return 0;
    anywhere = true;
    freeDirectory = load<u32>(directory);
    memory.fill(directory, 0, DIRECTORY);
    store<u32>((r & ~(PAGE - 1)) + AT, directory);
  }
  const block = takeBlock();
  store<u32>(entryOf(r, directory), block);
  return block;
}

/** State `r` gets what `s` (SCRATCH or a state) has, and nothing else. Without memory less than that (counted). */
export function copyExtra(r: u32, s: u32): void {
  const from = extraOf(s);
  let to = extraOf(r);
  if (!from) {
    if (to) dropExtra(r);
    return;
  }
  if (!to) to = makeBlock(r);
  if (!to) {
    count(C_EXTRA_LOST);
    return;
  }
  let parts = present(from) & X_ALL;
  if (parts & X_SEQ && !load<u32>(to, XB_SEQ)) {
    const block = takeBlock();
    store<u32>(to, block, XB_SEQ);
    if (!block) {
      count(C_EXTRA_LOST);
      parts &= ~X_SEQ;
    }
  }
  store<u8>(to, 0);
  store<u32>(to, 0, XB_FLAGS);
  copyParts(to, from, parts);
}

export function helperOf(block: u32): u32 {
  return present(block) & X_HELPER ? load<u32>(block, XB_HELPER) : 0;
}

export function sameHelper(a: u32, b: u32): bool {
  return helperOf(extraOf(a)) == helperOf(extraOf(b));
}

export function helperName(number: u32): u32 {
  return HELPERS + (number - 1) * HELPER_NAME;
}

/**
 * The number of the name of `len` bytes at `at` (at most 15, no zero in it); 0 when it is too long or the table is
 * full.
 */
export function helperNumber(at: u32, len: u32): u32 {
  if (len == 0 || len >= HELPER_NAME) return 0;
  for (let i: u32 = 1; i <= helpers; i++) {
    const name = helperName(i);
    if (memory.compare(name, at, len) == 0 && load<u8>(name + len) == 0) return i;
  }
  if (helpers == HELPERS_MAX) return 0;
  helpers++;
  const name = helperName(helpers);
  memory.fill(name, 0, HELPER_NAME);
  memory.copy(name, at, len);
  return helpers;
}

/** The helper that the kernel's entry of this state is made with, 0: none. */
export function helperToSet(r: u32): u32 {
  const block = extraOf(r);
  return block && load<u32>(block, XB_FLAGS) & XF_NO_HELPER ? 0 : helperOf(block);
}

/** This kernel refused the entry: from now on it is made without its helper. False when it had none. */
export function giveUpHelper(r: u32): bool {
  if (!helperToSet(r)) return false;
  const block = extraOf(r);
  store<u32>(block, load<u32>(block, XB_FLAGS) | XF_NO_HELPER, XB_FLAGS);
  return true;
}

/** Appends what both nodes must agree on to the words that are hashed; returns how many words. */
export function extraWords(r: u32, at: u32): u32 {
  const block = extraOf(r);
  const parts = present(block) & X_ALL;
  if (!parts) return 0;
  let p = at;
  const zone: u64 = parts & X_ZONE ? u64(load<u16>(block, XB_ZONE)) | (u64(load<u8>(block, XB_DIRECTION)) << 16) : 0;
  store<u64>(p, u64(parts) | (zone << 8));
  p += 8;
  if (parts & X_LABELS) {
    memory.copy(p, block + <u32>XB_LABELS, 16);
    p += 16;
  }
  if (parts & X_HELPER) {
    memory.copy(p, helperName(load<u32>(block, XB_HELPER)), HELPER_NAME);
    p += HELPER_NAME;
  }
  if (parts & X_SEQ) {
    memory.copy(p, seqOf(block), SEQ_SIZE);
    p += SEQ_SIZE;
  }
  return (p - at) >> 3;
}

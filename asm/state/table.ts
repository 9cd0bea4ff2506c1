/**
 * The table: states in 64 KiB pages (455 a page), found through linear hashing. The index grows by one bucket an
 * insert, so nothing ever stops for a rehash; its u32 heads lie in segments of 16384 (64 KiB), the chain runs through
 * the states. At 1,000,000 states: 144 B a state + 4 B of index. The 16 bytes behind a page's states belong to
 * extra.ts.
 */

import { dropExtra } from './extra';
import { indexHash } from './hash';
import { F_USED, S_FLAGS, S_HNEXT, S_IHASH, S_KEYWORD, S_ODST, S_OSRC, STATE_SIZE } from './layout';
import { allocPage, copyWords, PAGEDIR, SEGDIR } from './memory';

const PER_PAGE: u32 = 455;
const MAX_PAGES: u32 = 49152;
const SEGMENT_BITS: u32 = 14;
const SEGMENT: u32 = 1 << SEGMENT_BITS;
const MAX_SEGMENTS: u32 = 4096;
/** Most states the directory can name. */
export const HARD_LIMIT: u32 = PER_PAGE * MAX_PAGES;

let pages: u32 = 0;
/** Slots of the newest page that were handed out. */
let slotsUsed: u32 = PER_PAGE;
let freeHead: u32 = 0;
/** States in the table, tombstones included. */
export let allocated: u32 = 0;

let buckets: u32 = 0;
let lowMask: u32 = SEGMENT - 1;

/** One past the last ordinal a walk must visit. */
export function ordinals(): u32 {
  return pages == 0 ? 0 : (pages - 1) * PER_PAGE + slotsUsed;
}

/** Slot number `ordinal` (below ordinals()), used or not. */
export function stateAt(ordinal: u32): u32 {
  return load<u32>(PAGEDIR + ((ordinal / PER_PAGE) << 2)) + (ordinal % PER_PAGE) * STATE_SIZE;
}

/** Ordinal of the slot after the one at offset `r` (0: the first slot). Pages are handed out in rising order. */
export function ordinalAfter(r: u32): u32 {
  let low: u32 = 0;
  let high: u32 = pages;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(PAGEDIR + (middle << 2)) <= r) low = middle + 1;
    else high = middle;
  }
  if (!low) return 0;
  const slot = (r - load<u32>(PAGEDIR + ((low - 1) << 2))) / STATE_SIZE + 1;
  return (low - 1) * PER_PAGE + (slot < PER_PAGE ? slot : PER_PAGE);
}

/** Makes the first segment. Returns false when there is no memory. */
export function initTable(): bool {
  const page = allocPage();
  if (!page) return false;
  store<u32>(SEGDIR, page);
  buckets = SEGMENT;
  return true;
}

/** Where the head of the chain for this hash stands. */
export function headOf(hash: u32): u32 {
  let b = hash & ((lowMask << 1) | 1);
  if (b >= buckets) b = hash & lowMask;
  return load<u32>(SEGDIR + ((b >> SEGMENT_BITS) << 2)) + ((b & (SEGMENT - 1)) << 2);
}

/** Where the head of the bucket stands that the split after `ahead` more splits takes apart. */
export function nextSplit(ahead: u32): u32 {
  const old = (buckets + ahead) & lowMask;
  return load<u32>(SEGDIR + ((old >> SEGMENT_BITS) << 2)) + ((old & (SEGMENT - 1)) << 2);
}

/** Looks up the key of the image `s` (whose index hash is set on the way). Returns the state, a tombstone too, or 0. */
export function find(s: u32): u32 {
  store<u32>(s, indexHash(s), S_IHASH);
  return findHashed(s);
}

/** As find, for an image whose index hash is set (ahead.ts). */
export function findHashed(s: u32): u32 {
  const hash = load<u32>(s, S_IHASH);
  const w = load<u64>(s, S_KEYWORD);
  const s0 = load<u64>(s, S_OSRC);
  const d0 = load<u64>(s, S_ODST);
  let r = load<u32>(headOf(hash));
  while (r) {
    if (
      load<u32>(r, S_IHASH) == hash &&
      load<u64>(r, S_KEYWORD) == w &&
      load<u64>(r, S_OSRC) == s0 &&
      load<u64>(r, S_ODST) == d0 &&
      load<u64>(r, S_OSRC + 8) == load<u64>(s, S_OSRC + 8) &&
      load<u64>(r, S_ODST + 8) == load<u64>(s, S_ODST + 8)
    ) {
      return r;
    }
    r = load<u32>(r, S_HNEXT);
  }
  return 0;
}

/** Splits the next bucket when there are more states than buckets; without memory chains just get longer. */
function split(): void {
  if (allocated <= buckets) return;
  const seg = buckets >> SEGMENT_BITS;
  if ((buckets & (SEGMENT - 1)) == 0) {
    if (seg >= MAX_SEGMENTS) return;
    const page = allocPage();
    if (!page) return;
    store<u32>(SEGDIR + (seg << 2), page);
  }
  const fresh = buckets;
  const mask = (lowMask << 1) | 1;
  const freshHead = load<u32>(SEGDIR + (seg << 2)) + ((fresh & (SEGMENT - 1)) << 2);
  const old = fresh & lowMask;
  let link = load<u32>(SEGDIR + ((old >> SEGMENT_BITS) << 2)) + ((old & (SEGMENT - 1)) << 2);
  let moved: u32 = 0;
  let r = load<u32>(link);
  while (r) {
    const next = load<u32>(r, S_HNEXT);
    if ((load<u32>(r, S_IHASH) & mask) == fresh) {
      store<u32>(link, next);
      store<u32>(r, moved, S_HNEXT);
      moved = r;
    } else {
      link = r + <u32>S_HNEXT;
    }
    r = next;
  }
  store<u32>(freshHead, moved);
  buckets++;
  if (buckets > mask) lowMask = mask;
}

function allocState(): u32 {
  if (freeHead) {
    const r = freeHead;
    freeHead = load<u32>(r, S_HNEXT);
    return r;
  }
  if (slotsUsed == PER_PAGE) {
    if (pages == MAX_PAGES) return 0;
    const page = allocPage();
    if (!page) return 0;
    store<u32>(PAGEDIR + (pages << 2), page);
    pages++;
    slotsUsed = 0;
  }
  const r = load<u32>(PAGEDIR + ((pages - 1) << 2)) + slotsUsed * STATE_SIZE;
  slotsUsed++;
  return r;
}

/** Copies the image `s` (index hash set by find, which found nothing) into a new state; 0 without memory. */
export function addState(s: u32): u32 {
  const r = allocState();
  if (!r) return 0;
  copyWords(r, s, STATE_SIZE);
  store<u16>(r, F_USED, S_FLAGS);
  allocated++;
  split();
  const head = headOf(load<u32>(r, S_IHASH));
  store<u32>(r, load<u32>(head), S_HNEXT);
  store<u32>(head, r);
  return r;
}

/** Takes the state out of its chain and frees the slot. It must not be in any queue. */
export function removeState(r: u32): void {
  let link = headOf(load<u32>(r, S_IHASH));
  let at = load<u32>(link);
  while (at && at != r) {
    link = at + <u32>S_HNEXT;
    at = load<u32>(link);
  }
  if (at) store<u32>(link, load<u32>(r, S_HNEXT));
  dropExtra(r);
  store<u16>(r, 0, S_FLAGS);
  store<u32>(r, freeHead, S_HNEXT);
  freeHead = r;
  allocated--;
}

/** Buckets of the index now. */
export function bucketCount(): u32 {
  return buckets;
}

/** Longest chain of the index: for tests and checks, walks everything. */
export function longestChain(): u32 {
  let longest: u32 = 0;
  for (let b: u32 = 0; b < buckets; b++) {
    let r = load<u32>(load<u32>(SEGDIR + ((b >> SEGMENT_BITS) << 2)) + ((b & (SEGMENT - 1)) << 2));
    let n: u32 = 0;
    while (r) {
      n++;
      r = load<u32>(r, S_HNEXT);
    }
    if (n > longest) longest = n;
  }
  return longest;
}

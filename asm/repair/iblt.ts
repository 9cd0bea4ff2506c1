/**
 * A rateless invertible Bloom lookup table over 64-bit ids (arXiv 2402.02668): the owner of a set sends coded symbols
 * for as long as the other side needs more, and about 1.35 to 1.72 symbols for each differing id are enough, whatever
 * the size of the sets.
 *
 * It runs in an instance of the module of its own, which knows no table: everything above HEAP is the coded symbols,
 * and it goes away with the instance when the repair has ended.
 *
 *   items    24 B each: id u64, generator u64, next index u32, unused u32
 *   cells    40 B each, behind the items: xor of ids u64, xor of checks u64 | an id that was found u64, its generator
 *            u64, its next index u32 | link of the list of cells to look at u32 (0 not in it, 1 last, else next cell
 *            + 2)
 *
 * An id takes part in cell 0 always and in cell i with probability 1 / (1 + i/2). From a cell i the next one is beyond
 * j with probability (i+1)(i+2) / ((j+1)(j+2)), nearly ((i+1.5) / (j+1.5))^2; for a uniform u that gives the step
 * ceil((i+1.5) (1/sqrt(u) - 1)). Square root, division and product are exact to the last bit on every machine, so both
 * ends agree on every index.
 *
 * The cells hold no count of their ids: a cell with one id is known by its check, and which side has the id is seen
 * when it is looked up. That makes a symbol 16 bytes long. Every id that is found empties a cell for good, so more
 * finds than cells mean damaged symbols: the work is bounded whatever comes in.
 *
 * Ids are keyed hashes already, so nobody outside can choose them; check and indices are keyed with k0 and k1, fresh
 * for every repair, so that an unlucky set is not unlucky twice.
 */

import { HEAP } from '../state/memory';

const ITEM: u32 = 24;
const CELL: u32 = 40;
const I_GEN: usize = 8;
const I_NEXT: usize = 16;
const C_CHECK: usize = 8;
const C_FOUND: usize = 16;
const C_LINK: usize = 36;
const NEVER: u32 = 0xffffffff;
const PAGE: u32 = 65536;
/** An item or a found id that is looked at costs about as much as a fraction of a cell that is changed. */
const LOOK_COST: u32 = 8;

let k0: u64 = 0;
let k1: u64 = 0;
let items: u32 = 0;
/** Offset of cell 0; 0 while items may still come. */
let cells: u32 = 0;
/** Symbols of the peer that are in their cells; cells that exist. */
let taken: u32 = 0;
let made: u32 = 0;
/** Cells below `done` hold every item and are without the ids found; the pass that runs goes from there to `target`. */
let done: u32 = 0;
let target: u32 = 0;
let phase: u32 = 0;
let cursor: u32 = 0;
let found: u32 = 0;
/** Head of the list of cells to look at. */
let look: u32 = 1;
/** What is left of the slice. */
let budget: i32 = 0;

const PHASE_IDLE: u32 = 0;
const PHASE_ITEMS: u32 = 1;
const PHASE_FOUND: u32 = 2;
const PHASE_SCAN: u32 = 3;
const PHASE_PEEL: u32 = 4;

/** Makes sure that memory reaches to `end`. */
function reach(end: u64): bool {
  if (end > 0xffff0000) return false;
  const size = u64(memory.size()) << 16;
  if (end <= size) return true;
  const pages = (end - size + PAGE - 1) / PAGE;
  // A quarter more than asked: each growth makes the host renew its views.
  const more = pages + ((size >> 16) >> 2);
  return memory.grow(i32(more)) >= 0 || memory.grow(i32(pages)) >= 0;
}

function mix(x: u64): u64 {
  let z = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >>> 27)) * 0x94d049bb133111eb;
  return z ^ (z >>> 31);
}

function checkOf(id: u64): u64 {
  return mix(mix(id ^ k1) + k0);
}

function firstGen(id: u64): u64 {
  return mix(id ^ k0);
}

/** The index after `index` for this state of the generator (advance it first). */
function after(index: u32, gen: u64): u32 {
  const u = (f64(gen >>> 11) + 1.0) * 1.1102230246251565e-16;
  const step = ceil<f64>((f64(index) + 1.5) * (1.0 / sqrt<f64>(u) - 1.0));
  const next = f64(index) + (step < 1.0 ? 1.0 : step);
  return next >= 2147483647.0 ? NEVER : u32(next);
}

function advance(gen: u64): u64 {
  return gen * 6364136223846793005 + 1442695040888963407;
}

function cellAt(index: u32): u32 {
  return cells + index * CELL;
}

/** Begins, or begins anew: 16 bytes of key at `keyOff`, about `expected` ids. Returns 0 without memory for them. */
export function ibInit(keyOff: u32, expected: u32): u32 {
  forget();
  k0 = load<u64>(keyOff);
  k1 = load<u64>(keyOff, 8);
  return u32(reach(u64(HEAP) + u64(expected) * ITEM));
}

/** Cells and links are taken to be zero where nothing has been written yet. */
function forget(): void {
  const end = cells ? cells + made * CELL : HEAP + items * ITEM;
  memory.fill(HEAP, 0, end - HEAP);
  items = cells = taken = made = done = target = phase = cursor = found = 0;
  look = 1;
}

/** Adds `n` ids (u64) that stand at `off`. Returns 0 without memory, or when cells exist already. */
export function ibAdd(off: u32, n: u32): u32 {
  if (cells || !reach(u64(HEAP) + u64(items + n) * ITEM)) return 0;
  let p = HEAP + items * ITEM;
  for (let i: u32 = 0; i < n; i++, p += ITEM, off += 8) {
    const id = load<u64>(off);
    store<u64>(p, id);
    store<u64>(p, firstGen(id), I_GEN);
    store<u32>(p, 0, I_NEXT);
  }
  items += n;
  return 1;
}

/** All ids are there. */
export function ibSeal(): void {
  cells = (HEAP + items * ITEM + 63) & ~63;
}

export function ibItems(): u32 {
  return items;
}

export function ibFound(): u32 {
  return found;
}

function makeCells(to: u32): bool {
  if (to <= made) return true;
  if (!reach(u64(cells) + u64(to) * CELL)) return false;
  made = to;
  return true;
}

/** Puts `n` symbols (big endian: xor of ids u64, xor of checks u64) at `off` into the next cells. 0 without memory. */
export function ibTake(off: u32, n: u32): u32 {
  if (!cells || !makeCells(taken + n)) return 0;
  for (let i: u32 = 0; i < n; i++, off += 16) {
    const c = cellAt(taken++);
    store<u64>(c, bswap<u64>(load<u64>(off)));
    store<u64>(c, bswap<u64>(load<u64>(off, 8)), C_CHECK);
  }
  return 1;
}

/** Begins a pass that brings the items into the cells up to `to`. 0 without memory or while another pass runs. */
export function ibPass(to: u32): u32 {
  if (!cells || (phase != PHASE_IDLE && phase != PHASE_PEEL) || !makeCells(to)) return 0;
  target = to;
  cursor = 0;
  phase = PHASE_ITEMS;
  return 1;
}

/** Toggles the id of the item at `p` in its cells from its next index up to `target`. */
function spread(p: u32, watch: bool): void {
  const id = load<u64>(p);
  let index = load<u32>(p, I_NEXT);
  if (index >= target) {
    budget--;
    return;
  }
  let gen = load<u64>(p, I_GEN);
  const check = checkOf(id);
  while (index < target) {
    const c = cellAt(index);
    const sum = load<u64>(c) ^ id;
    const checks = load<u64>(c, C_CHECK) ^ check;
    store<u64>(c, sum);
    store<u64>(c, checks, C_CHECK);
    if (watch) consider(c, index, sum, checks);
    gen = advance(gen);
    index = after(index, gen);
    budget -= LOOK_COST;
  }
  store<u64>(p, gen, I_GEN);
  store<u32>(p, index, I_NEXT);
}

/** Puts a cell that holds one id into the list. */
function consider(c: u32, index: u32, sum: u64, checks: u64): void {
  if (checks != checkOf(sum) || load<u32>(c, C_LINK)) return;
  store<u32>(c, look, C_LINK);
  look = index + 2;
}

/** Works on the pass for a bounded time. Returns 1 while there is more to do. For the side that makes symbols. */
export function ibStep(most: u32): u32 {
  budget = i32(most);
  while (phase == PHASE_ITEMS && budget > 0) stepItems();
  if (phase == PHASE_ITEMS) return 1;
  done = target;
  phase = PHASE_IDLE;
  return 0;
}

function stepItems(): void {
  const p = HEAP + cursor * ITEM;
  if (cursor < items) {
    spread(p, false);
    cursor++;
    return;
  }
  cursor = 0;
  phase = PHASE_FOUND;
}

function stepFound(): void {
  if (cursor < found) {
    // The layout of a found id is that of an item: id, generator, next index.
    const p = cellAt(cursor++) + <u32>C_FOUND;
    spread(p, false);
    return;
  }
  cursor = done;
  phase = PHASE_SCAN;
}

function stepScan(): void {
  if (cursor < target) {
    const c = cellAt(cursor);
    consider(c, cursor++, load<u64>(c), load<u64>(c, C_CHECK));
    budget -= 2;
    return;
  }
  done = target;
  phase = PHASE_PEEL;
}

/** Takes the next cell of the list; false: damaged. */
function stepPeel(): bool {
  const index = look - 2;
  const c = cellAt(index);
  look = load<u32>(c, C_LINK);
  store<u32>(c, 0, C_LINK);
  budget--;
  const id = load<u64>(c);
  if (load<u64>(c, C_CHECK) != checkOf(id)) return true;
  if (found >= done) return false;
  const p = cellAt(found++) + <u32>C_FOUND;
  store<u64>(p, id);
  store<u64>(p, firstGen(id), I_GEN);
  store<u32>(p, 0, I_NEXT);
  spread(p, true);
  return true;
}

/**
 * Works on the pass, then on finding ids, for a bounded time. Returns 1 while there is more to do; 0 when nothing more
 * can be found without more symbols; 2 when all differences are found; 3 when the symbols are damaged.
 */
export function ibSolve(most: u32): u32 {
  budget = i32(most);
  while (budget > 0) {
    if (phase == PHASE_ITEMS) stepItems();
    else if (phase == PHASE_FOUND) stepFound();
    else if (phase == PHASE_SCAN) stepScan();
    else if (phase != PHASE_PEEL) return 0;
    else if (look == 1) return solved() ? 2 : 0;
    else if (!stepPeel()) return 3;
  }
  return 1;
}

function solved(): bool {
  return done != 0 && load<u64>(cells) == 0 && load<u64>(cells, C_CHECK) == 0;
}

/** Writes the symbols `from` to `from + n - 1` to `off`, as ibTake reads them. They must have been made. */
export function ibRead(from: u32, n: u32, off: u32): u32 {
  if (u64(from) + n > u64(done)) return 0;
  for (let i: u32 = 0; i < n; i++, off += 16) {
    const c = cellAt(from + i);
    store<u64>(off, bswap<u64>(load<u64>(c)));
    store<u64>(off, bswap<u64>(load<u64>(c, C_CHECK)), 8);
  }
  return 1;
}

/** Writes the found ids `from` to `from + n - 1` to `off`, little endian as in a state. */
export function ibFoundRead(from: u32, n: u32, off: u32): void {
  for (let i: u32 = 0; i < n; i++, off += 8) store<u64>(off, load<u64>(cellAt(from + i), C_FOUND));
}

/**
 * The memory map of the module, the page allocator and the counters. Nothing here is garbage collected and nothing
 * ever moves: the offset of a state is its name for as long as it lives (0 = none).
 *
 *   offset     size      what
 *   0x000000    4 KiB    unused, so that offset 0 can mean "none"
 *   0x001000    512 B    COUNTERS   64 x u64
 *   0x001200    128 B    TIMEOUTS   32 x u32, seconds, written by the host (order: see timeoutOf in kernel/write.ts)
 *   0x001400    256 B    HMSG       words that are being hashed
 *   0x001800    144 B    SCRATCH    image of the state that is being parsed
 *   0x001900     64 B    XSCRATCH   its rare attributes (extra.ts)
 *   0x002000    512 B    IGNORE4    64 x (network 4 B, mask 4 B), network byte order
 *   0x002200    256 B    LOCAL4     64 x 4 B
 *   0x002400      1 KiB  LOCAL6     64 x 16 B
 *   0x002800      2 KiB  IGNORE6    64 x (network 16 B, mask 16 B)
 *   0x003000    256 B    TAGS       8 x 32 B: digest and counts of each ownership tag (digest.ts)
 *   0x003200    512 B    HELPERS    32 x 16 B: names of connection helpers (extra.ts)
 *   0x003400    768 B    HOME4      64 x 12 B: virtual addresses and whose they are (homes.ts)
 *   0x003700   2304 B    HOME6      64 x 36 B
 *   0x004000     16 KiB  OUT        the host's scratch: keys in, digests and buckets out
 *   0x008000     16 KiB  SEGDIR     4096 x u32: segments of the hash index (table.ts)
 *   0x00c000     48 KiB  BUCKETS    8 tags x 256 x 24 B: sum (u128) and count (u64)
 *   0x020000    192 KiB  PAGEDIR    49152 x u32: pages of states
 *   0x050000    128 KiB  SEQRING    8192 x 16 B: what each netlink sequence number was sent for (kernel/write.ts)
 *   0x070000    512 KiB  NL_RX      64 x 8192 B: netlink messages received
 *   0x0f0000    128 KiB  SYNC_RX    64 x 2048 B: sync datagrams received
 *   0x110000    256 KiB  NL_TX      netlink messages to send
 *   0x150000    352 KiB  SYNC_TX    states for the peer; the upper part serves repairs (difference.ts):
 *   0x160000    256 KiB  PICK       32768 x u64: a set of ids
 *   0x1a0000      4 KiB  PICK_SEEN  32768 bits: which of them a walk has met
 *   0x1a1000     16 KiB  NOTES      what an audit found (notes.ts)
 *   0x1a5000      4 KiB  AHEAD      16 x 256 B: states that are looked up side by side (ahead.ts)
 *   0x1a6000     64 B    AHEAD_LINES
 *   0x1a7000     16 KiB  PF_FRAME   a pfsync frame received (pfsync/frame.ts)
 *   0x1ab000     16 KiB  PF_OUT     a pfsync frame to send
 *   0x1af000    448 B    PF_ITEM    one of its records (pfsync/layout.ts)
 *   0x1b0000      1 KiB  ACCEPT4    64 x 16 B: who may open connections to whom (kernel/accept.ts)
 *   0x1b0400      4 KiB  ACCEPT6    64 x 64 B
 *   0x1c0000    ...      HEAP       64 KiB pages: index segments and pages of states
 */

export const COUNTERS: u32 = 0x001000;
export const TIMEOUTS: u32 = 0x001200;
export const HMSG: u32 = 0x001400;
export const SCRATCH: u32 = 0x001800;
export const XSCRATCH: u32 = 0x001900;
export const IGNORE4: u32 = 0x002000;
export const LOCAL4: u32 = 0x002200;
export const LOCAL6: u32 = 0x002400;
export const IGNORE6: u32 = 0x002800;
export const TAGS: u32 = 0x003000;
export const HELPERS: u32 = 0x003200;
export const HOME4: u32 = 0x003400;
export const HOME6: u32 = 0x003700;
export const OUT: u32 = 0x004000;
export const SEGDIR: u32 = 0x008000;
export const BUCKETS: u32 = 0x00c000;
export const PAGEDIR: u32 = 0x020000;
export const SEQRING: u32 = 0x050000;
export const NL_RX: u32 = 0x070000;
export const SYNC_RX: u32 = 0x0f0000;
export const NL_TX: u32 = 0x110000;
export const SYNC_TX: u32 = 0x150000;
export const PICK: u32 = 0x160000;
export const PICK_SEEN: u32 = 0x1a0000;
export const NOTES: u32 = 0x1a1000;
export const AHEAD: u32 = 0x1a5000;
export const AHEAD_LINES: u32 = 0x1a6000;
export const PF_FRAME: u32 = 0x1a7000;
export const PF_OUT: u32 = 0x1ab000;
export const PF_ITEM: u32 = 0x1af000;
export const ACCEPT4: u32 = 0x1b0000;
export const ACCEPT6: u32 = 0x1b0400;
export const HEAP: u32 = 0x1c0000;

export const NL_RX_SLOTS: u32 = 64;
export const NL_RX_SLOT: u32 = 8192;
export const SYNC_RX_SLOTS: u32 = 64;
export const SYNC_RX_SLOT: u32 = 2048;
export const NL_TX_SIZE: u32 = 0x40000;
export const SYNC_TX_SLOTS: u32 = 256;
export const SYNC_TX_SLOT: u32 = 1408;
export const LIST_MAX: u32 = 64;
export const HELPERS_MAX: u32 = 32;
export const HOMES_MAX: u32 = 64;
export const OUT_SIZE: u32 = 0x4000;

const PAGE: u32 = 65536;
/**
 * Pages asked from the engine at once (8 MiB): every growth makes the host renew its views, and V8 take the whole
 * memory for newly allocated, upon which it collects all its garbage. What is not used yet costs no memory of the
 * machine.
 */
const GROW_STEP: i32 = 128;

let heapTop: u32 = HEAP;

/** A fresh, zeroed 64 KiB page, or 0 when the machine gives no more (counted). Pages are never given back. */
export function allocPage(): u32 {
  const end = u64(heapTop) + PAGE;
  if (end > 0xffff0000) {
    count(C_NO_MEMORY);
    return 0;
  }
  if (end > u64(memory.size()) << 16 && memory.grow(GROW_STEP) < 0 && memory.grow(1) < 0) {
    count(C_NO_MEMORY);
    return 0;
  }
  const page = heapTop;
  heapTop += PAGE;
  return page;
}

/** Bytes taken by states and index, the fixed areas included. */
export function memoryUsed(): u32 {
  return heapTop;
}

/** True when `len` bytes at `off` lie inside the memory. */
export function inside(off: u32, len: u32): bool {
  return u64(off) + u64(len) <= u64(memory.size()) << 16;
}

/**
 * Copies `size` bytes, a multiple of 16: for a few dozen the engine's own memory.copy costs more, it leaves the module.
 */
export function copyWords(to: u32, from: u32, size: u32): void {
  for (let i: u32 = 0; i < size; i += 16) {
    store<u64>(to + i, load<u64>(from + i));
    store<u64>(to + i, load<u64>(from + i, 8), 8);
  }
}

/** Copies an address: 4 or 16 bytes. */
export function copyAddress(to: u32, from: u32, size: u32): void {
  if (size == 4) {
    store<u32>(to, load<u32>(from));
    return;
  }
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
}

export function uncount(index: u32): void {
  const p = COUNTERS + (index << 3);
  store<u64>(p, load<u64>(p) - 1);
}

export function count(index: u32): void {
  const p = COUNTERS + (index << 3);
  store<u64>(p, load<u64>(p) + 1);
}

// Counters. The names stand in src/sync/table/engine.ts in the same order.
export const C_EVENTS_STATE: u32 = 0;
export const C_EVENTS_DESTROY: u32 = 1;
export const C_OWN_ECHO: u32 = 2;
export const C_BAD_NETLINK: u32 = 3;
export const C_IGNORED: u32 = 4;
export const C_NOT_ELIGIBLE: u32 = 5;
export const C_UNSUPPORTED: u32 = 6;
/** Helpers that this kernel does not know: their entries are made without. */
export const C_HELPER_REFUSED: u32 = 7;
export const C_CLAIMS: u32 = 8;
export const C_MIRROR_LOST: u32 = 9;
export const C_MIRROR_DRIFT: u32 = 10;
export const C_DUMP_GONE: u32 = 11;
export const C_TABLE_FULL: u32 = 12;
const C_NO_MEMORY: u32 = 13;
export const C_EVICTED: u32 = 14;
export const C_INSERTS: u32 = 15;
export const C_DELETES: u32 = 16;
export const C_RX_UPDATES: u32 = 17;
export const C_BAD_UPDATE: u32 = 18;
export const C_CONFLICTS: u32 = 19;
export const C_LATE_TAKEN: u32 = 20;
export const C_RX_IGNORED: u32 = 21;
export const C_TX_UPDATES: u32 = 22;
export const C_TX_BULK_UPDATES: u32 = 23;
export const C_KERNEL_CREATE: u32 = 24;
export const C_KERNEL_UPDATE: u32 = 25;
export const C_KERNEL_DELETE: u32 = 26;
export const C_KERNEL_REFUSED: u32 = 27;
export const C_REFUSED_ENOMEM: u32 = 28;
export const C_REFUSED_EINVAL: u32 = 29;
export const C_REFUSED_EEXIST: u32 = 30;
export const C_REFUSED_OTHER: u32 = 31;
export const C_KERNEL_RECREATE: u32 = 32;
export const C_KERNEL_GONE: u32 = 33;
export const C_ADOPTIONS: u32 = 34;
export const C_GIVES: u32 = 35;
export const C_SWEEP_FORCED: u32 = 36;
export const C_UNKNOWN_REPLY: u32 = 37;
export const C_BULK_DROPPED: u32 = 38;
export const C_UNCLAIMED_DROPPED: u32 = 39;
/** Differences between table and kernel that a dump brought to light (not those whose event was only late). */
export const C_CORRECTIONS: u32 = 40;
/** Changes dropped because the peer could not take them: the tables differ until a resend. */
export const C_DIRTY_FORGOTTEN: u32 = 41;
/** States dropped, taken over from nobody, and sent again by repairs. */
export const C_REPAIR_DROPPED: u32 = 42;
export const C_REPAIR_CLAIMED: u32 = 43;
export const C_REPAIR_WANTED: u32 = 44;
/** Rare attributes that found no memory, or no room in the table of helpers. */
export const C_EXTRA_LOST: u32 = 45;
/** Ends of offloaded flows that were held back, and those that turned out not to be the end. */
export const C_OFFLOAD_HELD: u32 = 46;
export const C_OFFLOAD_BACK: u32 = 47;
/** Answers to the peer's word that waited for the next round (answers.ts). */
export const C_ANSWERS_OWED: u32 = 48;
/** States of the peer that were kept out of the kernel (kernel/accept.ts). */
export const C_KEPT_OUT: u32 = 49;

/** The state engine's WebAssembly interface as asm/index.ts exports it: numbers and offsets only. */

/** The module's exports (asm/index.ts). Offsets and lengths are bytes; booleans are 0 and 1. */
export interface EngineExports {
  memory: WasmMemory;
  init(keyOffset: number, maxStates: number): number;
  setNow(ms: number): void;
  setOwnPort(port: number): void;
  setLists(ignore4: number, ignore6: number, local4: number, local6: number): void;
  setSyncWhen(when: number): void;
  setClaimEvents(on: number): void;
  setPreferPeer(on: number): void;
  setLongTimeout(seconds: number): void;
  setMaxStates(n: number): void;
  setSeq(n: number): void;
  ctInput(offset: number, length: number, source: number): number;
  ctError(): number;
  dumpBegin(mine: number): void;
  dumpEnd(slots: number): number;
  nlFill(offset: number, capacity: number): number;
  nlReply(offset: number, length: number): number;
  txFill(offset: number, capacity: number): number;
  txRecords(): number;
  rxApply(offset: number, length: number, context: number): number;
  bulkBegin(): void;
  bulkActive(): number;
  bulkStop(): void;
  peerBulkBegin(): void;
  peerBulkEnd(slots: number): number;
  unclaimedDrop(slots: number): number;
  adoptPeer(): void;
  disownPeer(): void;
  adoptUnclaimed(): void;
  giveMine(): void;
  adoptEpoch(): number;
  sweepBegin(): void;
  sweep(slots: number): number;
  sweepActive(): number;
  setHomes(n4: number, n6: number): void;
  homeOf(record: number): number;
  homesClaim(from: number, slots: number): number;
  setFingerprintKey(offset: number): void;
  rekeyStep(slots: number): number;
  rekeyActive(): number;
  digestWrite(owner: number, offset: number): void;
  bucketsWrite(owner: number, offset: number): void;
  countOwner(owner: number): number;
  kernelMissing(owner: number): number;
  kernelPending(): number;
  liveCount(): number;
  tombCount(): number;
  dirtyCount(): number;
  owedAnswers(): number;
  boundAnswers(on: number): void;
  memoryUsed(): number;
  next(record: number): number;
  ownerOf(record: number): number;
  extraOf(record: number): number;
  helperName(number: number): number;
  idsCopy(from: number, slots: number, owners: number): number;
  idsCopied(): number;
  pickClear(): void;
  pickAdd(n: number): number;
  pickSend(from: number, slots: number): number;
  pickApply(from: number, slots: number): number;
  pickUnseen(from: number): number;
  notesClear(): void;
  notesCount(): number;
  selfCheck(): number;
  bucketCount(): number;
  longestChain(): number;
  sip13(offset: number, words: number, k0: bigint, k1: bigint, out: number): bigint;
  benchUpsert(offset: number, n: number): number;
  benchFind(offset: number, n: number): number;
  benchDelete(offset: number, n: number): number;
}

/** Parts of the module's memory whose offsets it exports. */
export const AREA_NAMES = [
  'COUNTERS',
  'HOME4',
  'HOME6',
  'IGNORE4',
  'IGNORE6',
  'LOCAL4',
  'LOCAL6',
  'NL_RX',
  'NL_TX',
  'NOTES',
  'OUT',
  'SYNC_RX',
  'SYNC_TX',
  'TIMEOUTS',
] as const;
export type AreaOffsets = Record<(typeof AREA_NAMES)[number], number>;

/** Bytes of the host's scratch area in the module's memory. */
export const OUT_SIZE = 0x4000;

export type Owner = 'none' | 'me' | 'peer';
/** Owners by the module's numbers. */
export const OWNERS: Record<Owner, number> = { none: 0, me: 1, peer: 2 };

/** A WebAssembly memory, as far as it matters here: the buffer is another object after it has grown. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** Adds pages of 64 KiB. @throws RangeError when the machine gives no more */
  grow(pages: number): number;
}

/** @throws Error when the module is not the one this version was made for */
export function checked(exports: Record<string, unknown>): { x: EngineExports; at: AreaOffsets } {
  const at: Partial<AreaOffsets> = {};
  for (const name of AREA_NAMES) {
    const global = exports[name];
    if (typeof global !== 'object' || global === null || !('value' in global) || typeof global.value !== 'number') {
      throw new Error(
        `the WebAssembly module is not the state engine: it has no area ${name}; build it again (npm run build)`,
      );
    }
    at[name] = global.value >>> 0;
  }
  return { x: exports as unknown as EngineExports, at: at as AreaOffsets };
}

/** The state engine's WebAssembly interface as asm/index.ts exports it: numbers and offsets only. */

/** The module's exports (asm/index.ts). Offsets and lengths are bytes; booleans are 0 and 1. */
export interface EngineExports {
  memory: WasmMemory;
  init(keyOffset: number, maxStates: number): number;
  setNow(ms: number): void;
  setOwnPort(port: number): void;
  setLists(ignore4: number, ignore6: number, local4: number, local6: number): void;
  setSyncWhen(when: number): void;
  setAccept(on: number, n4: number, n6: number): void;
  setClaimEvents(on: number): void;
  setPreferPeer(on: number): void;
  setUndecided(on: number): void;
  ctInput(offset: number, length: number, source: number): number;
  ctError(): number;
  dumpBegin(own: number): void;
  dumpEnd(slots: number): number;
  nlFill(offset: number, capacity: number): number;
  nlReply(offset: number, length: number): number;
  txFill(offset: number, capacity: number): number;
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
  yieldOwn(): void;
  sweepBegin(): void;
  sweep(slots: number): number;
  sweepActive(): number;
  setHomes(n4: number, n6: number): void;
  homesClaim(from: number, slots: number): number;
  setFingerprintKey(offset: number): void;
  rekeyStep(slots: number): number;
  digestWrite(owner: number, offset: number): void;
  bucketsWrite(owner: number, offset: number): void;
  countOwner(owner: number): number;
  kernelMissing(owner: number): number;
  kernelPending(): number;
  dirtyCount(): number;
  owedAnswers(): number;
  memoryUsed(): number;
  next(state: number): number;
  ownerOf(state: number): number;
  extraOf(state: number): number;
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
}

/** Numbers that the module exports, so that they stand once: offsets and sizes of its areas, offsets in a state. */
const NUMBER_NAMES = [
  'COUNTERS',
  'ACCEPT4',
  'ACCEPT6',
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
  'STATE_SIZE',
  'OUT_SIZE',
  'NL_RX_SLOT',
  'NL_RX_SLOTS',
  'NL_TX_SIZE',
  'SYNC_RX_SLOT',
  'SYNC_RX_SLOTS',
  'SYNC_TX_SLOT',
  'SYNC_TX_SLOTS',
  'F_INK',
  'S_ZONE',
  'S_PROTO',
  'S_FAMILY',
  'S_OSPORT',
  'S_ODPORT',
  'S_OSRC',
  'S_ODST',
  'S_RSRC',
  'S_RDST',
  'S_RSPORT',
  'S_RDPORT',
  'S_MARK',
  'S_STATUS',
  'S_L4STATE',
  'S_WSCALE',
  'S_TCPFLAGS',
  'S_FLAGS',
  'S_FP_LO',
] as const;
export type ModuleNumbers = Record<(typeof NUMBER_NAMES)[number], number>;

export type Owner = 'unclaimed' | 'own' | 'mirrored';
/** Owners by the module's numbers. */
export const OWNERS: Record<Owner, number> = { unclaimed: 0, own: 1, mirrored: 2 };

/** A WebAssembly memory, as far as it matters here: the buffer is another object after it has grown. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** Adds pages of 64 KiB. @throws RangeError when the machine gives no more */
  grow(pages: number): number;
}

/** @throws Error when the module is not the one this version was made for */
export function checked(exports: Record<string, unknown>): { x: EngineExports; at: ModuleNumbers } {
  const at: Partial<ModuleNumbers> = {};
  for (const name of NUMBER_NAMES) {
    const global = exports[name];
    if (typeof global !== 'object' || global === null || !('value' in global) || typeof global.value !== 'number') {
      throw new Error(
        `the WebAssembly module is not the state engine: it has no ${name}; build it again (npm run build)`,
      );
    }
    at[name] = global.value >>> 0;
  }
  return { x: exports as unknown as EngineExports, at: at as ModuleNumbers };
}

/**
 * The state engine: everything that touches one state record. It knows bytes and records, not policy. Exports take and
 * return numbers and offsets; the memory map stands in memory.ts, the record in record.ts, the wire in wire.ts, the rules
 * for kernel events in event.ts and for the peer's records in peer.ts.
 */

import { endHeld } from './kernel/offload';
import { initTimeouts } from './kernel/timeouts';
import { owed } from './state/answers';

export { boundAnswers } from './state/answers';

import { live, tombs } from './state/content';
import { setNow as setTime } from './state/generations';
import { loadIndexKey } from './state/hash';
import { initTags } from './state/owner';
import { dirtyWanted, kernelWanted } from './state/queue';
import { setMaxStates } from './state/room';
import { initTable } from './state/table';

export { benchDelete, benchFind, benchUpsert } from './bench/loops';
export { dumpEnd, setClaimEvents } from './kernel/event';
export { setLists, setSyncWhen } from './kernel/filter';
export { ctError, ctInput, dumpBegin, setOwnPort } from './kernel/input';
export { nlReply } from './kernel/reply';
export { nlFill, setLongTimeout, setSeq } from './kernel/write';
export { bulkActive, bulkBegin, bulkStop, txFill, txRecords } from './peer/fill';
export { rxApply, setPreferPeer } from './peer/rules';
export { idsCopied, idsCopy, pickAdd, pickApply, pickClear, pickSend, pickUnseen } from './repair/difference';
export {
  ibAdd,
  ibFound,
  ibFoundRead,
  ibInit,
  ibItems,
  ibPass,
  ibRead,
  ibSeal,
  ibSolve,
  ibStep,
  ibTake,
} from './repair/iblt';
export { selfCheck } from './state/check';
export { ownerOf } from './state/content';
export { bucketsWrite, digestWrite } from './state/digest';
export { extraOf, helperName } from './state/extra';
export { sip13 } from './state/hash';
export { homeOf, homesClaim, setHomes } from './state/homes';
export {
  COUNTERS,
  HOME4,
  HOME6,
  IGNORE4,
  IGNORE6,
  LOCAL4,
  LOCAL6,
  memoryUsed,
  NL_RX,
  NL_TX,
  NOTES,
  OUT,
  SYNC_RX,
  SYNC_TX,
  TIMEOUTS,
} from './state/memory';
export { notesClear, notesCount } from './state/notes';
export {
  adoptEpoch,
  adoptPeer,
  adoptUnclaimed,
  countOwner,
  disownPeer,
  giveMine,
  kernelMissing,
  sweep,
  sweepActive,
  sweepBegin,
} from './state/owner';
export { setMaxStates } from './state/room';
export { bucketCount, longestChain } from './state/table';
export {
  next,
  peerBulkBegin,
  peerBulkEnd,
  rekeyActive,
  rekeyStep,
  setFingerprintKey,
  unclaimedDrop,
} from './state/walk';

/** Once, before anything else: 16 random bytes at `keyOff` for the index, the limit on states. 0 = no memory. */
export function init(keyOff: u32, maxStates: u32): u32 {
  loadIndexKey(keyOff);
  setMaxStates(maxStates);
  initTags();
  initTimeouts();
  return u32(initTable());
}

/** Host time in ms, for the order of ages and for what waits; wraps. */
export function setNow(ms: u32): void {
  setTime(ms);
  endHeld();
}

/** Live records. */
export function liveCount(): u32 {
  return live;
}

/** Ended records that are still needed. */
export function tombCount(): u32 {
  return tombs;
}

/** Changes waiting to be sent to the peer. */
/** Answers to the peer's word that wait for the next round; a sweep says them. */
export function owedAnswers(): u32 {
  return owed;
}

export function dirtyCount(): u32 {
  return dirtyWanted;
}

/** Operations waiting to be sent to the kernel. */
export function kernelPending(): u32 {
  return kernelWanted;
}

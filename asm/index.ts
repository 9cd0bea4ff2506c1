/**
 * The state engine: everything that touches one state record. It knows bytes and records, not policy. Exports take and
 * return numbers and offsets; the memory map stands in memory.ts, the record in record.ts, the wire in wire.ts, the rules
 * for kernel events in event.ts and for the peer's records in peer.ts.
 */

import { setNow as setTime } from './clock';
import { live, tombs } from './content';
import { loadIndexKey } from './hash';
import { endHeld } from './offload';
import { initTags } from './owner';
import { dirtyWanted, kernelWanted } from './queue';
import { setMaxStates } from './room';
import { initTable } from './table';
import { initTimeouts } from './timeouts';

export { benchDelete, benchFind, benchUpsert } from './bench';
export { selfCheck } from './check';
export { ownerOf } from './content';
export { ctError, ctInput, dumpBegin, setOwnPort } from './ctinput';
export { nlFill, setLongTimeout, setSeq } from './ctwrite';
export { idsCopied, idsCopy, pickAdd, pickApply, pickClear, pickSend, pickUnseen } from './difference';
export { bucketsWrite, digestWrite } from './digest';
export { dumpEnd, setClaimEvents } from './event';
export { extraOf, helperName } from './extra';
export { setLists, setSyncWhen } from './filter';
export { sip13 } from './hash';
export { homeOf, homesClaim, setHomes } from './homes';
export { ibAdd, ibFound, ibFoundRead, ibInit, ibItems, ibPass, ibRead, ibSeal, ibSolve, ibStep, ibTake } from './iblt';
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
} from './memory';
export { notesClear, notesCount } from './notes';
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
} from './owner';
export { rxApply, setPreferPeer } from './peer';
export { nlReply } from './reply';
export { setMaxStates } from './room';
export { bucketCount, longestChain } from './table';
export { bulkActive, bulkBegin, bulkStop, txFill, txRecords } from './txfill';
export {
  next,
  peerBulkBegin,
  peerBulkEnd,
  rekeyActive,
  rekeyStep,
  setFingerprintKey,
  unclaimedDrop,
} from './walk';

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
export function dirtyCount(): u32 {
  return dirtyWanted;
}

/** Operations waiting to be sent to the kernel. */
export function kernelPending(): u32 {
  return kernelWanted;
}

/**
 * The state engine as the product uses it. It knows bytes and states, not policy. Exports take and return numbers and
 * offsets. The memory map stands in state/memory.ts, the layout of a state in state/layout.ts, an update on the wire in
 * peer/wire.ts, the rules for kernel events in kernel/event.ts and those for the peer's updates in peer/rules.ts.
 */

import { endHeld } from './kernel/offload';
import { initTimeouts } from './kernel/timeouts';
import { owed } from './state/answers';

export { setUndecided } from './state/answers';

import { setNow as setTime } from './state/generations';
import { loadIndexKey } from './state/hash';
import { initTags } from './state/owner';
import { dirtyWanted, kernelWanted } from './state/queue';
import { setMaxStates } from './state/room';
import { initTable } from './state/table';

export { setAccept } from './kernel/accept';
export { dumpEnd, setClaimEvents } from './kernel/event';
export { setLists, setSyncWhen } from './kernel/filter';
export { ctError, ctInput, dumpBegin, setOwnPort } from './kernel/input';
export { nlReply } from './kernel/reply';
export { nlFill } from './kernel/write';
export { bulkActive, bulkBegin, bulkStop, txFill } from './peer/fill';
export { rxApply, setPreferPeer } from './peer/rules';
export {
  pfAction,
  pfAdd,
  pfBegin,
  pfCount,
  pfEnd,
  pfItems,
  pfKind,
  pfMessage,
  pfOpen,
  pfRead,
  pfRefusal,
} from './pfsync/frame';
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
export { ownerOf } from './state/counts';
export { bucketsWrite, digestWrite } from './state/digest';
export { extraOf, helperName } from './state/extra';
export { homesClaim, setHomes } from './state/homes';
export {
  F_INK,
  S_FAMILY,
  S_FLAGS,
  S_FP_LO,
  S_L4STATE,
  S_MARK,
  S_ODPORT,
  S_ODST,
  S_OSPORT,
  S_OSRC,
  S_PROTO,
  S_RDPORT,
  S_RDST,
  S_RSPORT,
  S_RSRC,
  S_STATUS,
  S_TCPFLAGS,
  S_WSCALE,
  S_ZONE,
  STATE_SIZE,
} from './state/layout';
export {
  ACCEPT4,
  ACCEPT6,
  COUNTERS,
  HOME4,
  HOME6,
  IGNORE4,
  IGNORE6,
  LOCAL4,
  LOCAL6,
  memoryUsed,
  NL_RX,
  NL_RX_SLOT,
  NL_RX_SLOTS,
  NL_TX,
  NL_TX_SIZE,
  NOTES,
  OUT,
  OUT_SIZE,
  PF_FRAME,
  PF_ITEM,
  PF_OUT,
  SYNC_RX,
  SYNC_RX_SLOT,
  SYNC_RX_SLOTS,
  SYNC_TX,
  SYNC_TX_SLOT,
  SYNC_TX_SLOTS,
  TIMEOUTS,
} from './state/memory';
export { notesClear, notesCount } from './state/notes';
export {
  adoptPeer,
  adoptUnclaimed,
  countOwner,
  disownPeer,
  kernelMissing,
  sweep,
  sweepActive,
  sweepBegin,
  yieldOwn,
} from './state/owner';
export {
  next,
  peerBulkBegin,
  peerBulkEnd,
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

/** Answers to the peer's word that wait for the next round; a sweep says them. */
export function owedAnswers(): u32 {
  return owed;
}

/** Changes waiting to be sent to the peer. */
export function dirtyCount(): u32 {
  return dirtyWanted;
}

/** Operations waiting to be sent to the kernel. */
export function kernelPending(): u32 {
  return kernelWanted;
}

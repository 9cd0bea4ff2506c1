/**
 * What this node's kernel says, event or dump line, changes the table by these rules. The image is in SCRATCH, its
 * index hash set.
 *
 *               no state        own               mirrored                     unclaimed    tombstone
 *   new/update  own, dirty      update, dirty if  claim: own, dirty            own, dirty   lives again, own, dirty
 *                               changed
 *   destroy     -               end, dirty *      put back: the owner decides  end          -
 *   dump line   as dumpOwn      update, dirty if  kernel differs: write it     update       only if it ended before
 *               says            changed           again                                     the dump began
 *
 * A dump line never touches what an event changed since the dump began.
 *
 *   * but put back when it was adopted and an update has already found that its entry was gone before
 */

import { ensureKey, entomb, moveTag, revive, sameReply, setContent, setInKernel } from '../state/content';
import { MIRRORED, OWN, ownerOf } from '../state/counts';
import { fillScratch, helperToSet, X_HELPER, X_LABELS, X_SEQ } from '../state/extra';
import {
  closeDump,
  dumpActive,
  dumpListed,
  dumpListing,
  dumpOwn,
  isTouched,
  seenInDump,
  stampDump,
  touch,
} from '../state/generations';
import { fingerprint } from '../state/hash';
import { insertLive } from '../state/insert';
import { keepLabels, recallLabels } from '../state/labels';
import {
  F_DOUBT,
  F_INK,
  F_KCONT,
  F_KREC,
  F_KSTAT,
  F_KWANT,
  F_MIRROR,
  F_REFUSED,
  F_TOMB,
  F_USED,
  F_VTAGS,
  flagsOf,
  IPS_OFFLOADED,
  isLive,
  S_DUMPGEN,
  S_FP_HI,
  S_FP_LO,
  S_ID,
  S_L4STATE,
  S_STATUS,
  S_TCPFLAGS,
  S_TIMEOUT,
  S_WSCALE,
  setFlags,
} from '../state/layout';
import {
  C_CLAIMS,
  C_CORRECTIONS,
  C_DUMP_GONE,
  C_EVENTS_DESTROY,
  C_EVENTS_STATE,
  C_IGNORED,
  C_MIRROR_DRIFT,
  C_MIRROR_LOST,
  C_NOT_ELIGIBLE,
  count,
  SCRATCH,
  uncount,
} from '../state/memory';
import { NOTE_CHANGED, NOTE_GONE, NOTE_MISSING, note, takeBack } from '../state/notes';
import { tagOwn, tagUnclaimed } from '../state/owner';
import { mayPutBack } from '../state/putback';
import { cancelKernel, markDirty, release, wantKernel } from '../state/queue';
import { findHashed, ordinals, stateAt } from '../state/table';
import { isEligible, isIgnored } from './filter';
import { holdEnd, isHeld } from './offload';
import { HAS_L4, seen } from './parse';
import { normalTimeout } from './timeouts';

let claimEvents: bool = true;
let dumpCursor: u32 = 0;

/**
 * 1: an event on the peer's state makes it this node's own. 0 (while handing over): its content goes to the peer as
 * "yours".
 */
export function setClaimEvents(on: u32): void {
  claimEvents = on != 0;
}

/** The event left the protocol part out because it did not change: it is what we knew. */
function fillL4(r: u32): void {
  store<u8>(SCRATCH, load<u8>(r, S_L4STATE), S_L4STATE);
  store<u8>(SCRATCH, load<u8>(r, S_WSCALE), S_WSCALE);
  store<u8>(SCRATCH, load<u8>(r, S_TCPFLAGS), S_TCPFLAGS);
  if (flagsOf(r) & F_VTAGS) {
    store<u64>(SCRATCH, load<u64>(r, S_ID), S_ID);
    setFlags(SCRATCH, F_VTAGS);
  }
}

/** A new or changed entry in the kernel (`dump`: a line of a dump). */
export function onState(dump: bool): void {
  if (isIgnored(SCRATCH)) {
    count(C_IGNORED);
    return;
  }
  if (!dump) count(C_EVENTS_STATE);
  const r = findHashed(SCRATCH);
  if (r && !(seen & HAS_L4) && isLive(flagsOf(r))) fillL4(r);
  // An event names labels and sequence adjustment only when they changed; a dump line and the helper are always whole.
  if (r && !dump && isLive(flagsOf(r))) fillScratch(r, X_LABELS | X_SEQ);
  const eligible = isEligible(SCRATCH);
  if (!dump && !(r && isLive(flagsOf(r)))) {
    if (eligible) recallLabels();
    else keepLabels();
  }
  if (!eligible) count(C_NOT_ELIGIBLE);
  if (!r) {
    if (eligible) onUnknown(dump);
  } else if (dump) {
    if (!seenInDump(r)) onDumpLine(r, eligible);
  } else {
    onEvent(r, eligible);
  }
}

function onUnknown(dump: bool): void {
  const own = !dump || dumpOwn != 0;
  const r = insertLive(SCRATCH, own ? tagOwn : tagUnclaimed, true);
  if (!r) return;
  if (own) {
    touch(r);
    markDirty(r);
    if (dump) corrected(r, NOTE_MISSING);
  } else if (load<u32>(r, S_TIMEOUT) > normalTimeout(r) + 60) {
    // Left behind by an earlier run as a mirrored entry: whoever takes it over must normalise its timeout.
    setFlags(r, flagsOf(r) | F_MIRROR);
  }
}

/** The dump told us what no event had told: counted, until an event shows that it was only late. */
function corrected(r: u32, why: u32): void {
  const f = flagsOf(r);
  if (f & F_DOUBT) return;
  count(C_CORRECTIONS);
  note(r, why);
  setFlags(r, f | F_DOUBT);
}

function eventCame(r: u32): void {
  const f = flagsOf(r);
  if (!(f & F_DOUBT)) return;
  if (dumpActive) {
    uncount(C_CORRECTIONS);
    takeBack(r);
  }
  setFlags(r, f & ~F_DOUBT);
}

/** Traffic passes here: the kernel keeps the entry by itself, nothing of ours is to be written over it. */
function trafficHere(r: u32): void {
  cancelKernel(r);
  setInKernel(r, true);
  setFlags(r, flagsOf(r) & ~F_MIRROR);
  touch(r);
}

function onEvent(r: u32, eligible: bool): void {
  eventCame(r);
  if (flagsOf(r) & F_TOMB) {
    stampDump(r);
    if (!eligible) return;
    revive(r, SCRATCH, tagOwn);
    trafficHere(r);
    markDirty(r);
    return;
  }
  const owner = ownerOf(r);
  if (!eligible) return onFresh(r, owner);
  if (owner == MIRRORED && !claimEvents) {
    cancelKernel(r);
    setInKernel(r, true);
    if (setContent(r, SCRATCH)) markDirty(r);
    return;
  }
  const changed = setContent(r, SCRATCH);
  trafficHere(r);
  if (owner == MIRRORED) count(C_CLAIMS);
  if (owner != OWN) moveTag(r, tagOwn);
  if (changed || owner != OWN) markDirty(r);
}

/** The kernel has a new, unanswered entry with the key of a state: what the state described is gone. */
function onFresh(r: u32, owner: u32): void {
  if (owner == MIRRORED) {
    // The peer's state stays; putting it back now would kill the new attempt. Its end brings the state back.
    cancelKernel(r);
    setInKernel(r, true);
    return;
  }
  entomb(r);
  if (owner == OWN) markDirty(r);
  else release(r);
}

/** An entry left the kernel. */
export function onDestroy(): void {
  count(C_EVENTS_DESTROY);
  const r = findHashed(SCRATCH);
  if (!r) return;
  eventCame(r);
  stampDump(r);
  if (flagsOf(r) & F_TOMB) {
    setInKernel(r, false);
    cancelKernel(r);
    return;
  }
  // The end of a flow that the kernel does not see may be none.
  if (load<u16>(SCRATCH, S_STATUS) & IPS_OFFLOADED && ownerOf(r) == OWN && holdEnd(r)) {
    cancelKernel(r);
    setInKernel(r, false);
    return;
  }
  const f = flagsOf(r);
  if (!(f & F_INK) && f & F_REFUSED && !isTouched(r)) {
    // It ended as the peer's, before it was adopted, and an update has found that out already (reply.ts).
    wantKernel(r, 0);
    return;
  }
  leftKernel(r);
}

function leftKernel(r: u32): void {
  const owner = ownerOf(r);
  setInKernel(r, false);
  if (owner == MIRRORED) {
    count(C_MIRROR_LOST);
    cancelKernel(r);
    if (mayPutBack()) wantKernel(r, 0);
    else setFlags(r, flagsOf(r) | F_REFUSED);
    return;
  }
  entomb(r);
  if (owner == OWN) markDirty(r);
  else release(r);
}

function onDumpLine(r: u32, eligible: bool): void {
  const f = flagsOf(r);
  if (f & F_TOMB) {
    stampDump(r);
    if (!eligible || f & F_KWANT) return;
    // It ended before the dump began and is there again: its new event was lost.
    revive(r, SCRATCH, dumpOwn ? tagOwn : tagUnclaimed);
    setInKernel(r, true);
    corrected(r, NOTE_MISSING);
    if (dumpOwn) markDirty(r);
    return;
  }
  const owner = ownerOf(r);
  stampDump(r);
  if (owner == MIRRORED) return onMirrorLine(r);
  if (!eligible) {
    corrected(r, NOTE_GONE);
    return onFresh(r, owner);
  }
  setInKernel(r, true);
  if (setContent(r, SCRATCH) && owner == OWN) {
    touch(r);
    markDirty(r);
    corrected(r, NOTE_CHANGED);
  }
}

/** The kernel's entry of a mirrored state: what the owner said must be in it. */
function onMirrorLine(r: u32): void {
  const f = flagsOf(r);
  setInKernel(r, true);
  if (f & F_KWANT) return;
  ensureKey(r);
  // An entry that this kernel made without the helper, for want of it, is as right as it can be.
  if (!helperToSet(r)) fillScratch(r, X_HELPER);
  fingerprint(SCRATCH);
  if (load<u64>(SCRATCH, S_FP_LO) == load<u64>(r, S_FP_LO) && load<u64>(SCRATCH, S_FP_HI) == load<u64>(r, S_FP_HI)) {
    if (!(f & F_INK)) wantKernel(r, 0);
    return;
  }
  count(C_MIRROR_DRIFT);
  corrected(r, NOTE_CHANGED);
  const added: u32 = load<u16>(r, S_STATUS) & ~load<u16>(SCRATCH, S_STATUS);
  const helper = helperToSet(SCRATCH) != helperToSet(r);
  wantKernel(r, F_KCONT | (added ? F_KSTAT : 0) | (sameReply(r, SCRATCH) && !helper ? 0 : F_KREC));
}

function closeDumpState(r: u32): void {
  const f = flagsOf(r);
  if (!(f & F_USED)) return;
  setFlags(r, f & ~F_DOUBT);
  if (f & F_TOMB) {
    release(r);
    return;
  }
  if (seenInDump(r)) return;
  if (isHeld(r)) return;
  // Waiting to be written, or known to be missing (it is put back, whoever owns it by now): the dump says nothing new.
  if (!(f & F_INK)) return;
  count(C_DUMP_GONE);
  count(C_CORRECTIONS);
  note(r, NOTE_GONE);
  leftKernel(r);
}

/**
 * After the last line of a dump: goes over up to `n` slots; what was neither in the dump nor touched since it began has
 * left the kernel. Returns 1 while there is more to do. The first call only says that no line will come any more: read
 * the waiting events before the next one.
 */
export function dumpEnd(n: u32): u32 {
  if (!dumpActive) return 0;
  if (dumpListing) {
    // One round is left for the events that were waiting while the dump was read.
    dumpListed();
    return 1;
  }
  const total = ordinals();
  for (; n && dumpCursor < total; n--) closeDumpState(stateAt(dumpCursor++));
  if (dumpCursor < total) return 1;
  closeDump();
  return 0;
}

export function rewindDump(): void {
  dumpCursor = 0;
}

/** No state has been seen in any dump: the numbers of the dumps begin anew. */
export function forgetStamps(): void {
  const total = ordinals();
  for (let i: u32 = 0; i < total; i++) store<u8>(stateAt(i), 0, S_DUMPGEN);
}

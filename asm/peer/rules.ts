/**
 * What the peer says changes the table by these rules. "late" = the state is marked "yours", or the peer had not seen
 * my last adoption when it sent it: it speaks of states that this node owns by now.
 *
 *                  no state   mirrored    unclaimed   own, untouched since   own, touched
 *                                                      the adoption
 *   update         mirrored   take it     take it     conflict               conflict
 *   update, late   own        take it *   own         take it, stays own     keep own
 *   delete         -          end         end         keep own               keep own
 *   delete, late   -          end         end         end                    keep own
 *
 *   * and it becomes this node's own if the peer says "yours": else nobody would own it.
 *
 * Whatever comes late and is taken, and whatever is kept against the peer's word, is told to the peer: what I sent in
 * between may have crossed it, and only so both tables end equal. In a conflict the virtual addresses decide
 * (homes.ts), and where they say nothing preferPeer. Exactly one of the two nodes may prefer the other, or the two
 * would swap or repeat their versions for ever. While the news of a role is on its way both may keep their own;
 * answers.ts bounds what that costs.
 */

import { GROUP, keepImage, lookAheadRing, takeImage } from '../state/ahead';
import { answer, answerClaim } from '../state/answers';
import { moveTag, revive, sameReply, setContent } from '../state/content';
import { MIRRORED, OWN, ownerOf } from '../state/counts';
import { drop } from '../state/drop';
import { sameHelper } from '../state/extra';
import { isTouched, stampBulk, stampDump } from '../state/generations';
import { HOME_PEER, HOME_UNKNOWN, homeOf } from '../state/homes';
import { insertLive } from '../state/insert';
import {
  F_DWANT,
  F_INK,
  F_KCONT,
  F_KREC,
  F_KSTAT,
  F_MIRROR,
  F_TOMB,
  flagsOf,
  IPS_SYNCED,
  S_L4STATE,
  S_STATUS,
  S_TOUCH,
} from '../state/layout';
import {
  C_BAD_UPDATE,
  C_CONFLICTS,
  C_LATE_TAKEN,
  C_RX_IGNORED,
  C_RX_UPDATES,
  count,
  inside,
  SCRATCH,
} from '../state/memory';
import { tagMirrored, tagOwn } from '../state/owner';
import { cancelDirty, wantKernel } from '../state/queue';
import { findHashed } from '../state/table';
import { decode, head } from './unwire';
import { W_DELETE, W_YOURS } from './wire';

let preferPeer: bool = false;

/** 1: in a conflict the peer's version wins (it is master and I am not). */
export function setPreferPeer(on: u32): void {
  preferPeer = on != 0;
}

/** Head byte of the state that is being applied. */
let said: u32 = 0;

/**
 * Applies the states of one sync datagram, in groups whose look-ups run side by side (ahead.ts). `ctx` bit 0: the peer
 * had not seen my last adoption. Returns the number of states applied, or -1 - that number when a state was refused
 * (counted; the rest of the datagram is dropped).
 */
export function rxApply(off: u32, len: u32, ctx: u32): i32 {
  if (!inside(off, len)) return -1;
  const end = off + len;
  let p = off;
  let n: u32 = 0;
  while (p < end) {
    let group: u32 = 0;
    let size: u32 = 1;
    while (p < end && group < GROUP) {
      size = decode(p, end);
      if (!size) break;
      keepImage(group++, head, 0);
      p += size;
    }
    lookAheadRing(group);
    for (let i: u32 = 0; i < group; i++) applyOne(i, (ctx & 1) != 0);
    n += group;
    if (!size) {
      count(C_BAD_UPDATE);
      return -1 - i32(n);
    }
  }
  return i32(n);
}

/** Applies image `i` of the ring. */
function applyOne(i: u32, unseen: bool): void {
  said = load<u32>(takeImage(i));
  count(C_RX_UPDATES);
  const late = unseen || (said & W_YOURS) != 0;
  if (said & W_DELETE) onDelete(late);
  else onUpdate(late);
}

function onUpdate(late: bool): void {
  const r = findHashed(SCRATCH);
  if (!r) {
    onNew(late);
    return;
  }
  if (flagsOf(r) & F_TOMB) {
    onBuried(r, late);
    return;
  }
  const owner = ownerOf(r);
  if (owner != OWN) {
    const own = (said & W_YOURS) != 0 || (late && owner != MIRRORED);
    overwrite(r, own ? tagOwn : tagMirrored);
    if (own) answer(r);
  } else if (late) {
    if (isTouched(r)) {
      count(C_RX_IGNORED);
    } else {
      count(C_LATE_TAKEN);
      overwrite(r, tagOwn);
    }
    answer(r);
  } else {
    count(C_CONFLICTS);
    const home = homeOf(r);
    if (home == HOME_PEER || (home == HOME_UNKNOWN && preferPeer)) overwrite(r, tagMirrored);
    else answerClaim(r);
  }
}

function onNew(late: bool): void {
  const r = insertLive(SCRATCH, late ? tagOwn : tagMirrored, false);
  if (!r) return;
  stampBulk(r);
  wantKernel(r, 0);
  if (late) answer(r);
}

/** The state ended here, but the end is not sent (or not written) yet. */
function onBuried(r: u32, late: bool): void {
  const f = flagsOf(r);
  if (f & F_DWANT && late) {
    // My end of it is newer than what the peer says of its time as owner.
    count(C_RX_IGNORED);
    return;
  }
  const same = sameReply(r, SCRATCH) && sameHelper(r, SCRATCH);
  revive(r, SCRATCH, late ? tagOwn : tagMirrored);
  store<u16>(r, 0, S_TOUCH);
  stampBulk(r);
  wantKernel(r, f & F_INK ? F_KCONT | F_KSTAT | (same ? 0 : F_KREC) : 0);
  if (late) answer(r);
}

/** The state takes the peer's content and this tag; the kernel hears what it must. */
function overwrite(r: u32, tag: u32): void {
  const nat = !sameReply(r, SCRATCH) || !sameHelper(r, SCRATCH);
  const oldStatus: u32 = load<u16>(r, S_STATUS) & IPS_SYNCED;
  const newStatus: u32 = load<u16>(SCRATCH, S_STATUS) & IPS_SYNCED;
  const oldState: u32 = load<u8>(r, S_L4STATE);
  moveTag(r, tag);
  const changed = setContent(r, SCRATCH);
  store<u16>(r, 0, S_TOUCH);
  stampBulk(r);
  cancelDirty(r);
  const f = flagsOf(r);
  if (!(f & F_INK)) {
    wantKernel(r, 0);
    return;
  }
  if (nat || oldStatus & ~newStatus) {
    wantKernel(r, F_KREC);
    return;
  }
  const mirrored = (f & F_MIRROR) != 0;
  if (changed || oldState != load<u8>(r, S_L4STATE) || mirrored != (tag == tagMirrored)) {
    wantKernel(r, F_KCONT | (newStatus & ~oldStatus ? F_KSTAT : 0));
  }
}

function onDelete(late: bool): void {
  const r = findHashed(SCRATCH);
  if (!r || flagsOf(r) & F_TOMB) {
    if (r) {
      cancelDirty(r);
      stampDump(r);
    }
    return;
  }
  if (ownerOf(r) == OWN && (!late || isTouched(r))) {
    count(C_RX_IGNORED);
    answer(r);
    return;
  }
  drop(r, ownerOf(r) == OWN);
}

/**
 * Answers to the peer's word, bounded. A node that keeps its own version of a state against the peer's says so, and the
 * peer, if it keeps its own as well, answers that. As long as neither gives in (the roles are still on their way), each
 * message would be answered at the pace of the cable. So a state is answered once in a round; what would be said again
 * in the same round is owed, and a sweep (owner.ts) says it in a later one. The bound: one update a state and round.
 *
 * Byte S_TAG above the tag: bits 3 to 6 the round of the last answer (0: none), bit 7: an answer is owed.
 */

import { now } from './generations';
import { ANSWER_OWED, flagsOf, isLive, S_TAG } from './layout';
import { C_ANSWERS_OWED, count } from './memory';
import { markDirty } from './queue';

/** A round is 128 ms long: 2^7. */
const ROUND_BITS: u32 = 7;

/** Tests against a model that knows no time switch the bound off. */
let bounded: bool = true;

export function boundAnswers(on: u32): void {
  bounded = on != 0;
}

/**
 * This node will give in to the peer's claims, but may not yet (the peer must hear of a change of role first). So long
 * it answers none of them: the peer, which does not give in, has sent its version already, and would send it again.
 */
let undecided: bool = false;

export function setUndecided(on: u32): void {
  undecided = on != 0;
}

/** The peer claims a state that this node keeps. */
export function answerClaim(r: u32): void {
  if (undecided) owe(r);
  else answer(r);
}

/** States whose answer waits for the next round. A state that ended meanwhile is counted until the next sweep. */
export let owed: u32 = 0;

/**
 * 1..15. After 15 rounds (1.9 s) an old stamp looks like today's: its answer waits for one round more, and is not lost.
 */
function round(): u32 {
  return ((now >> ROUND_BITS) % 15) + 1;
}

/** The peer must hear of this state, because of what it said. */
export function answer(r: u32): void {
  const byte: u32 = load<u8>(r, S_TAG);
  const today = round() << 3;
  if (bounded && (byte & 0x78) == today) {
    owe(r);
    return;
  }
  if (byte & ANSWER_OWED && owed) owed--;
  store<u8>(r, (byte & 7) | today, S_TAG);
  markDirty(r);
}

function owe(r: u32): void {
  const byte: u32 = load<u8>(r, S_TAG);
  if (byte & ANSWER_OWED) return;
  owed++;
  count(C_ANSWERS_OWED);
  store<u8>(r, byte | ANSWER_OWED, S_TAG);
}

/** A sweep begins: it meets every state and counts anew what is still owed. */
export function recountOwed(): void {
  owed = 0;
}

/**
 * A sweep meets this state: what is owed is said, if the round has changed. What was given away meanwhile, too: the
 * peer must hear of it.
 */
export function payAnswer(r: u32): void {
  const byte: u32 = load<u8>(r, S_TAG);
  if (!(byte & ANSWER_OWED)) return;
  if (undecided) {
    owed++;
    return;
  }
  store<u8>(r, byte & ~ANSWER_OWED, S_TAG);
  if (isLive(flagsOf(r))) answer(r);
}

/**
 * Demotion: named reasons with weights. The sum is what peers see; it is clamped only on the wire.
 * Reasons that the group itself raises cannot be taken away from outside.
 */

import type { DemotionRefused } from '../contract/causes.ts';
import { demotionTotal } from './context.ts';
import type { Action, GroupState } from './types.ts';
import { emit } from './vhid.ts';

/** Weight of everything that makes a node unfit. */
export const FULL_WEIGHT = 240;
/** More reasons than this are refused: every limit has a number. */
const MAX_REASONS = 64;
const MAX_WEIGHT = 100_000;
const OWN_REASON = /^(link:|no_ipv[46]:|senderr:|vip:|maintenance$|shutdown$)/;

/** Sets (or with null removes) one reason. @returns true when the sum changed, so that all masters must advertise. */
export function setReason(state: GroupState, reason: string, weight: number | null, actions: Action[]): boolean {
  const before = demotionTotal(state);
  const old = state.demotions[reason] ?? null;
  if (old === weight) return false;
  if (weight === null) delete state.demotions[reason];
  else state.demotions[reason] = weight;
  const total = demotionTotal(state);
  emit(actions, { kind: 'carp.demotion', reason, weight, total, reasons: { ...state.demotions } });
  return total !== before;
}

/** Why a reason from outside is refused; null: it is not. */
export function refuseReason(state: GroupState, reason: string, weight: number | null): DemotionRefused | null {
  if (reason === '' || reason.length > 128) return { why: 'name_length' };
  if (OWN_REASON.test(reason)) return { why: 'own_reason', reason };
  if (weight === null) return reason in state.demotions ? null : { why: 'no_such_reason', reason };
  if (!Number.isInteger(weight) || Math.abs(weight) > MAX_WEIGHT) {
    return { why: 'bad_weight', weight, most: MAX_WEIGHT };
  }
  const full = !(reason in state.demotions) && Object.keys(state.demotions).length >= MAX_REASONS;
  return full ? { why: 'too_many', most: MAX_REASONS } : null;
}

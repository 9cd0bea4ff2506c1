/**
 * Who owns a state, and how many there are: the counts that stand in the tags (digest.ts) and over all of them. Whoever
 * changes a state keeps them exact.
 */

import { T_MISSING, T_OWNER, T_TOMBS, tagAt } from './digest';
import { tagOf } from './layout';

export const UNCLAIMED: u32 = 0;
export const OWN: u32 = 1;
export const MIRRORED: u32 = 2;
/** The tag is not in use. */
export const OWNER_FREE: u32 = 3;

/** Live states and tombstones. */
export let live: u32 = 0;
export let tombs: u32 = 0;

export function ownerOf(r: u32): u32 {
  return load<u32>(tagAt(tagOf(r)), T_OWNER);
}

export function bumpMissing(tag: u32, by: i32): void {
  const t = tagAt(tag);
  store<u32>(t, load<u32>(t, T_MISSING) + by, T_MISSING);
}

/** One tombstone of this tag more or less, whatever it was before. */
export function bumpTombs(tag: u32, by: i32): void {
  const t = tagAt(tag);
  store<u32>(t, load<u32>(t, T_TOMBS) + by, T_TOMBS);
}

export function countLive(by: i32): void {
  live += by;
}

export function countTombs(by: i32): void {
  tombs += by;
}

/** A freed tombstone is no longer counted. */
export function forgetTomb(r: u32): void {
  bumpTombs(tagOf(r), -1);
  tombs--;
}

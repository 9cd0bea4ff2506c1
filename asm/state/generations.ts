/**
 * The generations that states are stamped with, so that "everything that was not ..." never has to be marked
 * beforehand: the adoption epoch, the kernel dump, the peer's bulk - and the host's time.
 */

import { S_AGE, S_BULKGEN, S_DUMPGEN, S_TOUCH } from './layout';

/** Host time in ms, for the order of ages only; wraps. */
export let now: u32 = 0;
/** Goes up with every change of ownership; never 0, so 0 in a state means "not touched". */
export let epoch: u32 = 1;
/** 1..255 while a dump is running or being closed. */
let dumpGen: u32 = 0;
/** From dumpBegin until the last slice of dumpEnd: changes are stamped. */
export let dumpActive: bool = false;
/** From dumpBegin until the first slice of dumpEnd: lines may still come, so tombstones are kept. */
export let dumpListing: bool = false;
/** What a dump line without a state becomes: 0 unclaimed, 1 own. */
export let dumpOwn: u32 = 0;
export let bulkGen: u32 = 0;
export let bulkOpen: bool = false;

export function setNow(ms: u32): void {
  now = ms;
}

export function nextEpoch(): void {
  epoch = epoch >= 0xffff ? 1 : epoch + 1;
}

/**
 * Returns true when the numbers begin anew: stamps of dumps that were never closed must not be taken for this one's.
 */
export function openDump(own: u32): bool {
  const again = dumpGen >= 255;
  dumpGen = again ? 1 : dumpGen + 1;
  dumpActive = true;
  dumpListing = true;
  dumpOwn = own;
  return again;
}

/** The last line was read; the table is being walked now. */
export function dumpListed(): void {
  dumpListing = false;
}

export function closeDump(): void {
  dumpActive = false;
  dumpListing = false;
}

export function openBulk(): void {
  bulkGen = bulkGen >= 255 ? 1 : bulkGen + 1;
  bulkOpen = true;
}

export function closeBulk(): void {
  bulkOpen = false;
}

/** The state was changed by something newer than the dump that may be running. */
export function stampDump(r: u32): void {
  if (dumpActive) store<u8>(r, dumpGen, S_DUMPGEN);
}

export function seenInDump(r: u32): bool {
  return load<u8>(r, S_DUMPGEN) == dumpGen;
}

export function stampBulk(r: u32): void {
  if (bulkOpen) store<u8>(r, bulkGen, S_BULKGEN);
}

export function touch(r: u32): void {
  store<u16>(r, epoch, S_TOUCH);
}

export function isTouched(r: u32): bool {
  return load<u16>(r, S_TOUCH) == epoch;
}

export function stampAge(r: u32): void {
  store<u32>(r, now, S_AGE);
}

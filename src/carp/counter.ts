/**
 * The 64-bit counter of advertisements, as FreeBSD, NetBSD and UCarp send it: random for every packet until a valid
 * packet of the vhid was heard, from then on the last one heard plus one, and plus one more for each packet sent.
 * No receiver enforces anything on it; nothing may be refused because of it, except what this node sent itself.
 */

import { timingSafeEqual } from 'node:crypto';
import { sameAddress } from '../net/ip.ts';
import type { Advert } from './packet.ts';

const WRAP = 1n << 64n;
/** A switch gives a packet back within milliseconds; 64 cover minutes at 1 s and a quarter of a second at advbase 0. */
const REMEMBERED = 64;

/** Next value to send; null: nothing heard yet, so random. */
export interface SendCounter {
  next: bigint | null;
}

/** The packets this node sent last, oldest first. */
export interface OwnPackets {
  list: { counter: bigint; digest: Buffer; source: string }[];
}

export function newSendCounter(): SendCounter {
  return { next: null };
}

/** @param random64 a fresh random number 0..2^64-1; used only while nothing was heard */
export function takeCounter(state: SendCounter, random64: bigint): bigint {
  if (state.next === null) return random64 % WRAP;
  const value = state.next;
  state.next = (value + 1n) % WRAP;
  return value;
}

/** A valid packet (not an own one) carried `counter`: whatever it is, it replaces the own value. */
export function heardCounter(state: SendCounter, counter: bigint): void {
  state.next = (counter + 1n) % WRAP;
}

export function newOwnPackets(): OwnPackets {
  return { list: [] };
}

/** Remembers a packet that goes out. `source`: the IP source address. */
export function rememberSent(own: OwnPackets, counter: bigint, digest: Buffer, source: string): void {
  own.list.push({ counter, digest, source });
  if (own.list.length > REMEMBERED) own.list.shift();
}

/**
 * An own packet that came back: same counter, digest and source address as sent.
 * The source address must be part of it: two hosts that count on from the same value send the same counters, and the
 * digest covers nothing but key, vhid, addresses and counter. After a split both masters would otherwise take each
 * other's packets for their own and stay masters.
 */
export function sentByUs(own: OwnPackets, advert: Advert, source: string): boolean {
  return own.list.some(
    (sent) =>
      sent.counter === advert.counter &&
      sameAddress(sent.source, source) &&
      timingSafeEqual(sent.digest, advert.digest),
  );
}

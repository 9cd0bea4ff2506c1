/** Takes one receive buffer of the conntrack socket apart and hands each message to its rule. */

import { GROUP, keepImage, lookAheadRing, takeImage } from '../state/ahead';
import { openDump } from '../state/generations';
import { C_BAD_NETLINK, C_OWN_ECHO, C_UNSUPPORTED, count, inside } from '../state/memory';
import { forgetStamps, onDestroy, onState, rewindDump } from './event';
import { MALFORMED, PARSED, parseConntrack, seen, seenAgain } from './parse';

const NLMSG_ERROR: u32 = 2;
const NLMSG_DONE: u32 = 3;
const NLMSG_OVERRUN: u32 = 4;
const NLM_F_DUMP_INTR: u32 = 0x10;
const CTNETLINK: u32 = 1;
const CT_NEW: u32 = 0;
const CT_DELETE: u32 = 2;

/** Result bits of ctInput. */
const GOT_DONE: i32 = 1;
const GOT_ERROR: i32 = 2;
const GOT_INTERRUPTED: i32 = 4;

let ownPort: u32 = 0;
let lastError: i32 = 0;

/** Port id of the socket that injects: events with it are echoes of own injections. */
export function setOwnPort(port: u32): void {
  ownPort = port;
}

/** The errno (positive) of the last NLMSG_ERROR or NLMSG_DONE that ctInput met, 0 if it was a success. */
export function ctError(): i32 {
  return lastError;
}

/**
 * A dump begins. `own`: what is in it without a state is this node's own (after an overrun), else unclaimed (at start).
 */
export function dumpBegin(own: u32): void {
  if (openDump(own)) forgetStamps();
  rewindDump();
}

/**
 * Reads the netlink messages at `off`. `source` 0 = events, 1 = dump. Returns bits: 1 the dump is complete, 2 an error
 * message (ctError), 4 the kernel says the dump was interrupted; -1 when the buffer is malformed (counted, rest
 * dropped).
 */
export function ctInput(off: u32, len: u32, source: u32): i32 {
  if (!inside(off, len)) return -1;
  waiting = 0;
  const result = messages(off, off + len, source);
  flush(source);
  return result;
}

function messages(off: u32, end: u32, source: u32): i32 {
  let p = off;
  let result: i32 = 0;
  while (end - p >= 16) {
    const size = load<u32>(p);
    if (size < 16 || size > end - p) {
      count(C_BAD_NETLINK);
      return -1;
    }
    const type: u32 = load<u16>(p, 4);
    if (load<u16>(p, 6) & NLM_F_DUMP_INTR && source) result |= GOT_INTERRUPTED;
    if (type < 16) result |= control(p, size, type);
    else conntrack(p, size, type, source);
    const step = (size + 3) & ~3;
    p = step >= end - p ? end : p + step;
  }
  if (p != end) count(C_BAD_NETLINK);
  return result;
}

/** Parsed messages in the ring that are not applied yet: their look-ups run side by side (ahead.ts). */
let waiting: u32 = 0;

function flush(source: u32): void {
  lookAheadRing(waiting);
  for (let i: u32 = 0; i < waiting; i++) {
    const words = takeImage(i);
    seenAgain(load<u32>(words, 4));
    if (load<u32>(words) == CT_NEW) onState(source != 0);
    else onDestroy();
  }
  waiting = 0;
}

function control(p: u32, size: u32, type: u32): i32 {
  if (type == NLMSG_OVERRUN) {
    lastError = 105;
    return GOT_ERROR;
  }
  if (type != NLMSG_ERROR && type != NLMSG_DONE) return 0;
  lastError = size >= 20 ? -load<i32>(p, 16) : 0;
  if (type == NLMSG_DONE) return lastError > 0 ? GOT_DONE | GOT_ERROR : GOT_DONE;
  return GOT_ERROR;
}

function conntrack(p: u32, size: u32, type: u32, source: u32): void {
  const message = type & 0xff;
  if (type >> 8 != CTNETLINK || size < 20 || (message != CT_NEW && message != CT_DELETE)) {
    count(C_BAD_NETLINK);
    return;
  }
  if (!source && ownPort && load<u32>(p, 12) == ownPort) {
    count(C_OWN_ECHO);
    return;
  }
  const parsed = parseConntrack(p + 20, p + size, load<u8>(p, 16));
  if (parsed == PARSED) {
    keepImage(waiting++, message, seen);
    if (waiting == GROUP) flush(source);
  } else {
    count(parsed == MALFORMED ? C_BAD_NETLINK : C_UNSUPPORTED);
  }
}

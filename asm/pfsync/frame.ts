/**
 * Walks a frame message by message, and builds one record by record (docs/protocol/pfsync.md sections 2, 10.1, 10.2).
 * One frame is open for reading and one for building at a time.
 */

import { PF_ITEM } from '../state/memory';
import { refusalOf } from './check';
import { actionOf, formatOf, isFreebsd, itemSize, kindOf, move, version } from './dialects';
import * as L from './layout';

const HEADER: u32 = 20;
const SUBHEADER: u32 = 4;
/** FreeBSD 9 ends a frame with this many bytes after EOF: an HMAC that nobody fills. */
const HMAC: u32 = 20;

let dialect: u32 = 0;
let at: u32 = 0;
let end: u32 = 0;
let refusal: u32 = 0;
let kind: u32 = 0;
let action: u32 = 0;
let count: u32 = 0;
let items: u32 = 0;
let stride: u32 = 0;

/** Opens a frame that starts with the pfsync header. 0, or why it is refused. */
export function pfOpen(as: u32, frame: u32, length: u32): u32 {
  dialect = as;
  refusal = 0;
  at = frame + HEADER;
  end = at;
  if (length < HEADER) return L.REFUSED_HDROPS;
  if (load<u8>(frame) != <u8>version(as)) return L.REFUSED_BADVER;
  const said: u32 = bswap<u16>(load<u16>(frame, 2));
  if (said > length) return L.REFUSED_BADLEN;
  end = said < HEADER ? at : frame + said;
  return 0;
}

function stop(why: u32): bool {
  refusal = why;
  at = end;
  return false;
}

/** The message's records lie in the frame: false = they do not. */
function take(size: u32): bool {
  stride = size;
  if (u64(size) * count > u64(end - at)) return false;
  items = at;
  at += size * count;
  return true;
}

function freebsdMessage(known: i32): bool {
  if (known < 0) return stop(L.REFUSED_BADACT);
  kind = known;
  if (known == L.KIND_EOF) {
    const left = end - at;
    if (left != 0 && left != HMAC) refusal = L.REFUSED_BADLEN;
    count = 0;
    items = at;
    stride = 0;
    at = end;
    return true;
  }
  return take(itemSize(formatOf(dialect, action), kind)) || stop(L.REFUSED_BADLEN);
}

function openbsdMessage(known: i32, length: u32): bool {
  const size: u32 = known < 0 ? 0 : itemSize(dialect, known);
  if ((known < 0 || length < size) && (count == 0 || length == 0)) return stop(L.REFUSED_BADACT);
  kind = known < 0 || length < size ? L.KIND_SKIPPED : known;
  return take(length) || stop(L.REFUSED_BADLEN);
}

/** The next message: false at the end, or when the rest is refused (pfRefusal says why). */
export function pfMessage(): bool {
  if (at + SUBHEADER > end) return false;
  action = load<u8>(at);
  const length: u32 = (<u32>load<u8>(at, 1)) << 2;
  count = bswap<u16>(load<u16>(at, 2));
  at += SUBHEADER;
  const known = kindOf(dialect, action);
  return isFreebsd(dialect) ? freebsdMessage(known) : openbsdMessage(known, length);
}

export function pfKind(): u32 {
  return kind;
}

export function pfAction(): u32 {
  return action;
}

export function pfCount(): u32 {
  return count;
}

/** Why the rest of the frame was refused, or what is counted although it was used. */
export function pfRefusal(): u32 {
  return refusal;
}

/** Offset of the message's first record. */
export function pfItems(): u32 {
  return items;
}

/** Reads record `i` of the message into PF_ITEM. 0, or why it must not be used; it is read all the same. */
export function pfRead(i: u32): u32 {
  memory.fill(PF_ITEM, 0, L.P_SIZE);
  if (i >= count || kind == L.KIND_SKIPPED || kind == L.KIND_EOF) return L.REFUSED_BADLEN;
  move(formatOf(dialect, action), kind, items + i * stride, PF_ITEM, false);
  return refusalOf(dialect, kind, PF_ITEM);
}

let outDialect: u32 = 0;
let outFrame: u32 = 0;
let outAt: u32 = 0;
let outEnd: u32 = 0;
/** Subheader of the message that is being filled; 0: none. */
let outMessage: u32 = 0;

/** Begins a frame in `room` bytes at `frame`. */
export function pfBegin(as: u32, frame: u32, room: u32): void {
  outDialect = as;
  outFrame = frame;
  outEnd = frame + room;
  outAt = frame + HEADER;
  outMessage = 0;
  memory.fill(frame, 0, HEADER);
  store<u8>(frame, <u8>version(as));
}

function openMessage(kind: u32, size: u32): void {
  outMessage = outAt;
  store<u8>(outAt, <u8>actionOf(outDialect, kind));
  store<u8>(outAt, isFreebsd(outDialect) ? <u8>0 : <u8>(size >> 2), 1);
  store<u16>(outAt, 0, 2);
  outAt += SUBHEADER;
}

/** Adds the record in PF_ITEM. false: it does not fit, the frame stays as it was. */
export function pfAdd(kind: u32): bool {
  const size = itemSize(outDialect, kind);
  const same = outMessage != 0 && load<u8>(outMessage) == <u8>actionOf(outDialect, kind);
  const tail: u32 = isFreebsd(outDialect) ? SUBHEADER : 0;
  if (outAt + (same ? 0 : SUBHEADER) + size + tail > outEnd) return false;
  if (!same) openMessage(kind, size);
  memory.fill(outAt, 0, size);
  move(outDialect, kind, outAt, PF_ITEM, true);
  outAt += size;
  const counted: u32 = bswap<u16>(load<u16>(outMessage, 2));
  store<u16>(outMessage, bswap<u16>(<u16>(counted + 1)), 2);
  return true;
}

/** Ends the frame, with FreeBSD 9's bytes after EOF when `hmac` is set; its length. */
export function pfEnd(hmac: bool): u32 {
  if (isFreebsd(outDialect)) {
    openMessage(L.KIND_EOF, 0);
    store<u16>(outMessage, bswap<u16>(1), 2);
    if (hmac) {
      memory.fill(outAt, 0, HMAC);
      outAt += HMAC;
    }
  }
  const length = outAt - outFrame;
  store<u16>(outFrame, bswap<u16>(<u16>length), 2);
  return length;
}

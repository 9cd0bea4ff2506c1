/**
 * Writes conntrack messages for the states in the kernel queue: layout, flags and attribute order as in
 * mapping.md sections 4, 5, 7, 8 and the vectors in ctnetlink.json. No ACK is asked for: the kernel works inside
 * sendmsg and answers only errors (reply.ts).
 *
 * An entry is in one of two modes: mirrored (the peer owns it: liberal window, long timeout, so it lives as long as the
 * owner says) or normal (own: the kernel's usual timeout). The liberal flag stays after a take-over: the window this
 * kernel knows may be old, and an entry that became strict then would drop everything (mapping.md section 7).
 */

import { keepOut, setInKernel } from '../state/content';
import { MIRRORED, ownerOf } from '../state/counts';
import { extraOf, helperName, helperToSet, present, seqOf, X_LABELS, X_SEQ, XB_LABELS } from '../state/extra';
import {
  F_INK,
  F_KCONT,
  F_KREC,
  F_KRETRY,
  F_KSTAT,
  F_MIRROR,
  F_TOMB,
  F_VTAGS,
  flagsOf,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPS_CONFIRMED,
  IPS_SYNCED,
  S_FAMILY,
  S_ID,
  S_IHASH,
  S_L4STATE,
  S_MARK,
  S_PROTO,
  S_RDPORT,
  S_RDST,
  S_RSPORT,
  S_RSRC,
  S_STATUS,
  S_TCPFLAGS,
  S_WSCALE,
  setFlags,
} from '../state/layout';
import { C_KEPT_OUT, C_KERNEL_CREATE, C_KERNEL_DELETE, C_KERNEL_UPDATE, count, inside, SEQRING } from '../state/memory';
import { hasDestinationNat, hasSourceNat } from '../state/nat';
import { popKernel, release } from '../state/queue';
import { isAcceptable } from './accept';
import {
  CTA_HELP,
  CTA_HELP_NAME,
  CTA_LABELS,
  CTA_MARK,
  CTA_PROTOINFO,
  CTA_PROTOINFO_SCTP,
  CTA_PROTOINFO_SCTP_STATE,
  CTA_PROTOINFO_SCTP_VTAG_ORIGINAL,
  CTA_PROTOINFO_SCTP_VTAG_REPLY,
  CTA_PROTOINFO_TCP,
  CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
  CTA_PROTOINFO_TCP_FLAGS_REPLY,
  CTA_PROTOINFO_TCP_STATE,
  CTA_PROTOINFO_TCP_WSCALE_ORIGINAL,
  CTA_PROTOINFO_TCP_WSCALE_REPLY,
  CTA_SEQ_ADJ_ORIG,
  CTA_SEQ_ADJ_REPLY,
  CTA_SEQADJ_CORRECTION_POS,
  CTA_STATUS,
  CTA_TIMEOUT,
  CTA_TUPLE_REPLY,
} from './attributes';
import { attr8, attr16, attr32, attrAddress, attrText, close, finish, header, open, position, seek } from './nlput';
import { normalTimeout } from './timeouts';
import { putNats, putOriginal, putTuple, putTuples, putZone } from './write-tuple';

/** Room that the operation of one state may need: two deletes and a create, all IPv6 with NAT. */
const NL_MAX: u32 = 1024;

const CT_NEW: u32 = 0x0100;
const CT_DELETE: u32 = 0x0102;
const REQUEST: u32 = 0x0001;
const CREATE_EXCL: u32 = 0x0600;
const BE_LIBERAL: u32 = 0x08;

export const OP_CREATE: u32 = 1;
const OP_UPDATE: u32 = 2;
export const OP_DELETE: u32 = 3;
const RING_MASK: u32 = 8191;

let seq: u32 = 0;
let longTimeout: u32 = 86400;

/** Seconds an entry lives in mirrored mode. */
export function setLongTimeout(seconds: u32): void {
  longTimeout = seconds ? seconds : 1;
}

/** Starts a message and remembers in the ring what its sequence number stands for. */
function begin(r: u32, type: u32, flags: u32, op: u32): u32 {
  seq++;
  const slot = SEQRING + ((seq & RING_MASK) << 4);
  store<u32>(slot, seq);
  store<u32>(slot, r, 4);
  store<u32>(slot, load<u32>(r, S_IHASH), 8);
  store<u32>(slot, op, 12);
  return header(type, flags, seq, load<u8>(r, S_FAMILY));
}

/**
 * A state the kernel can go on from: with SYN_SENT every packet would be INVALID, ESTABLISHED is always right enough.
 */
function injectedState(state: u32): u32 {
  if (state == 9) return 2;
  return state < 2 || state > 9 ? 3 : state;
}

/** Flags and their mask of one direction, as the two bytes of the attribute. */
function tcpFlags(flags: u32, wscale: bool): u32 {
  const bits = BE_LIBERAL | (flags & 6) | u32(wscale);
  return (bits << 8) | bits;
}

/** CTA_PROTOINFO of TCP; without `state` only the liberal flags. */
function putTcp(r: u32, state: bool): void {
  const info = open(CTA_PROTOINFO);
  const tcp = open(CTA_PROTOINFO_TCP);
  const flags: u32 = load<u8>(r, S_TCPFLAGS);
  const scale: u32 = load<u8>(r, S_WSCALE);
  // the kernel takes the scales only if both directions have them
  const wscale = state && (flags & 0x11) == 0x11;
  if (state) attr8(CTA_PROTOINFO_TCP_STATE, injectedState(load<u8>(r, S_L4STATE)));
  if (wscale) {
    attr8(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, scale >> 4);
    attr8(CTA_PROTOINFO_TCP_WSCALE_REPLY, scale & 15);
  }
  attr16(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, tcpFlags(state ? flags >> 4 : 0, wscale));
  attr16(CTA_PROTOINFO_TCP_FLAGS_REPLY, tcpFlags(state ? flags : 0, wscale));
  close(tcp);
  close(info);
}

/** CTA_PROTOINFO of SCTP: all three values or nothing at all. */
function putSctp(r: u32): void {
  if (!(flagsOf(r) & F_VTAGS)) return;
  const info = open(CTA_PROTOINFO);
  const sctp = open(CTA_PROTOINFO_SCTP);
  attr8(CTA_PROTOINFO_SCTP_STATE, load<u8>(r, S_L4STATE));
  attrAddress(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, r + <u32>S_ID, 4);
  attrAddress(CTA_PROTOINFO_SCTP_VTAG_REPLY, r + <u32>S_ID + 4, 4);
  close(sctp);
  close(info);
}

function putL4(r: u32): void {
  const proto: u32 = load<u8>(r, S_PROTO);
  if (proto == IPPROTO_TCP) putTcp(r, true);
  else if (proto == IPPROTO_SCTP) putSctp(r);
}

function putStatus(r: u32): void {
  attr32(CTA_STATUS, IPS_CONFIRMED | (load<u16>(r, S_STATUS) & IPS_SYNCED));
}

function putSeq(type: u32, at: u32): void {
  const adj = open(type);
  for (let i: u32 = 0; i < 3; i++) attrAddress(CTA_SEQADJ_CORRECTION_POS + i, at + (i << 2), 4);
  close(adj);
}

/** Labels and sequence adjustment: what may change while the entry lives. */
function putExtra(r: u32): void {
  const block = extraOf(r);
  const parts = present(block);
  if (parts & X_LABELS) attrAddress(CTA_LABELS, block + <u32>XB_LABELS, 16);
  if (!(parts & X_SEQ)) return;
  putSeq(CTA_SEQ_ADJ_ORIG, seqOf(block));
  putSeq(CTA_SEQ_ADJ_REPLY, seqOf(block) + 12);
}

/** CTA_HELP: only a new entry takes one. The kernel's helper then follows the connection from its next packet on. */
function putHelper(r: u32): void {
  const helper = helperToSet(r);
  if (!helper) return;
  const help = open(CTA_HELP);
  attrText(CTA_HELP_NAME, helperName(helper));
  close(help);
}

function writeCreate(r: u32, mirrored: bool): void {
  count(C_KERNEL_CREATE);
  const start = begin(r, CT_NEW, REQUEST | CREATE_EXCL, OP_CREATE);
  putTuples(r);
  putStatus(r);
  attr32(CTA_TIMEOUT, mirrored ? longTimeout : normalTimeout(r));
  putL4(r);
  if (load<u32>(r, S_MARK)) attr32(CTA_MARK, load<u32>(r, S_MARK));
  putHelper(r);
  putExtra(r);
  putNats(r);
  finish(start);
}

/** Status only when bits were added, mark and protocol state only when they changed: the rest is the kernel's. */
function writeUpdate(r: u32, flags: u32, mirrored: bool): void {
  count(C_KERNEL_UPDATE);
  const start = begin(r, CT_NEW, REQUEST, OP_UPDATE);
  putOriginal(r, 0);
  if (flags & F_KSTAT) putStatus(r);
  attr32(CTA_TIMEOUT, mirrored ? longTimeout : normalTimeout(r));
  if (flags & F_KCONT) putL4(r);
  else if (mirrored && load<u8>(r, S_PROTO) == IPPROTO_TCP) putTcp(r, false);
  if (flags & F_KCONT) {
    attr32(CTA_MARK, load<u32>(r, S_MARK));
    putExtra(r);
  }
  putZone(r);
  finish(start);
}

/** By the original tuple; `reply`: by the translated reply tuple, to clear away an entry that holds our NAT mapping. */
function writeDelete(r: u32, reply: bool): void {
  count(C_KERNEL_DELETE);
  const start = begin(r, CT_DELETE, REQUEST, OP_DELETE);
  if (reply)
    putTuple(CTA_TUPLE_REPLY, r, r + <u32>S_RSRC, r + <u32>S_RDST, load<u16>(r, S_RSPORT), load<u16>(r, S_RDPORT), 0);
  else putOriginal(r, 0);
  putZone(r);
  finish(start);
}

/** What may not be in the kernel is taken out of it, if it was there with another translation. */
function leaveOut(r: u32, f: u32): void {
  if (f & F_INK) writeDelete(r, false);
  setInKernel(r, false);
  if (keepOut(r)) count(C_KEPT_OUT);
  setFlags(r, flagsOf(r) & ~(F_KREC | F_KSTAT | F_KCONT | F_MIRROR));
}

function writeState(r: u32): void {
  const f = flagsOf(r);
  if (f & F_TOMB) {
    if (f & F_INK) writeDelete(r, false);
    setInKernel(r, false);
    release(r);
    return;
  }
  const create = f & F_KREC || !(f & F_INK);
  if (create && !isAcceptable(r)) {
    leaveOut(r, f);
    return;
  }
  const mirrored = ownerOf(r) == MIRRORED;
  if (f & F_KREC) {
    writeDelete(r, false);
    if (f & F_KRETRY && (hasSourceNat(r) || hasDestinationNat(r))) writeDelete(r, true);
  }
  if (create) writeCreate(r, mirrored);
  else writeUpdate(r, f, mirrored);
  setInKernel(r, true);
  const kept = flagsOf(r) & ~(F_KREC | F_KSTAT | F_KCONT | F_MIRROR);
  setFlags(r, kept | (mirrored ? F_MIRROR : 0));
}

/** Drains the kernel queue into netlink messages at `off`, at most `cap` bytes. Returns the bytes written. */
export function nlFill(off: u32, cap: u32): u32 {
  if (!inside(off, cap) || cap < NL_MAX) return 0;
  seek(off);
  const last = off + cap - NL_MAX;
  while (position() <= last) {
    const r = popKernel();
    if (!r) break;
    writeState(r);
  }
  return position() - off;
}

/** Ring slot of a sequence number, or 0 when it is forgotten or never was. */
export function slotOfSeq(n: u32): u32 {
  const slot = SEQRING + ((n & RING_MASK) << 4);
  return n && load<u32>(slot) == n ? slot : 0;
}

/** Sets the next sequence number to use: tests only. */
export function setSeq(n: u32): void {
  seq = n - 1;
}

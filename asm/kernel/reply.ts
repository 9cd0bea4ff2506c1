/**
 * The kernel's answers (NLMSG_ERROR) to what write.ts sent. Rules after docs/protocol/mapping.md section 6: an existing
 * entry gives way to ours once; an update that the kernel can't do becomes delete + create; what is refused then is
 * counted by cause and the state is marked as not in the kernel.
 */

import { setInKernel } from '../state/content';
import { MIRRORED, ownerOf } from '../state/counts';
import { giveUpHelper } from '../state/extra';
import { isTouched } from '../state/generations';
import { F_KREC, F_KRETRY, F_REFUSED, flagsOf, isLive, S_IHASH, setFlags } from '../state/layout';
import {
  C_BAD_NETLINK,
  C_HELPER_REFUSED,
  C_KERNEL_GONE,
  C_KERNEL_RECREATE,
  C_KERNEL_REFUSED,
  C_REFUSED_EEXIST,
  C_REFUSED_EINVAL,
  C_REFUSED_ENOMEM,
  C_REFUSED_OTHER,
  C_UNKNOWN_REPLY,
  count,
  inside,
} from '../state/memory';
import { againKernel } from '../state/queue';
import { OP_CREATE, OP_DELETE, slotOfSeq } from './write';

const ENOENT: u32 = 2;
const ENOMEM: u32 = 12;
const EBUSY: u32 = 16;
const EEXIST: u32 = 17;
const EINVAL: u32 = 22;
const EOPNOTSUPP: u32 = 95;
const NLMSG_ERROR: u32 = 2;

/** Handles the error messages in one receive buffer. Returns how many there were, or -1 if the buffer is malformed. */
export function nlReply(off: u32, len: u32): i32 {
  if (!inside(off, len)) return -1;
  const end = off + len;
  let p = off;
  let n: i32 = 0;
  while (end - p >= 16) {
    const size = load<u32>(p);
    if (size < 16 || size > end - p) {
      count(C_BAD_NETLINK);
      return -1;
    }
    if (load<u16>(p, 4) == NLMSG_ERROR) {
      if (size < 20) {
        count(C_BAD_NETLINK);
        return -1;
      }
      const error = load<i32>(p, 16);
      if (error < 0) onError(load<u32>(p, 8), u32(-error));
      n++;
    }
    const step = (size + 3) & ~3;
    p = step >= end - p ? end : p + step;
  }
  return n;
}

function onError(seq: u32, errno: u32): void {
  const slot = slotOfSeq(seq);
  if (!slot) {
    count(C_UNKNOWN_REPLY);
    return;
  }
  const r = load<u32>(slot, 4);
  const op = load<u32>(slot, 12);
  if (op == OP_DELETE) {
    if (errno != ENOENT) refusedBy(errno);
    return;
  }
  // The slot may hold another state by now, or a tombstone: then the answer is of no use.
  if (!isLive(flagsOf(r)) || load<u32>(r, S_IHASH) != load<u32>(slot, 8)) return;
  if (op == OP_CREATE) onCreateError(r, errno);
  else onUpdateError(r, errno);
}

function onCreateError(r: u32, errno: u32): void {
  if (errno == EOPNOTSUPP && giveUpHelper(r)) {
    // This kernel has no such helper: the connection itself can still be kept.
    count(C_HELPER_REFUSED);
    setInKernel(r, false);
    againKernel(r, 0);
    return;
  }
  if (errno == EEXIST && ownerOf(r) != MIRRORED && isTouched(r)) {
    // The create waited, and meanwhile traffic has made the entry anew: the kernel is the truth.
    setInKernel(r, true);
  } else if (errno == EEXIST && !(flagsOf(r) & F_KRETRY)) recreate(r);
  else refuse(r, errno);
}

function onUpdateError(r: u32, errno: u32): void {
  if (errno == ENOENT) {
    count(C_KERNEL_GONE);
    const peers = ownerOf(r) == MIRRORED;
    // Mine with traffic here: the kernel is the truth and its destroy event is on the way.
    if (!peers && isTouched(r)) return;
    setInKernel(r, false);
    // Adopted without its entry: the destroy event that is still to be read puts it back (event.ts). Put back now, that
    // event would be taken for the end of the new entry.
    if (peers) againKernel(r, 0);
    else setFlags(r, flagsOf(r) | F_REFUSED);
  } else if ((errno == EBUSY || errno == EOPNOTSUPP) && !(flagsOf(r) & F_KRETRY)) {
    recreate(r);
  } else {
    refusedBy(errno);
  }
}

function recreate(r: u32): void {
  count(C_KERNEL_RECREATE);
  setFlags(r, flagsOf(r) | F_KRETRY);
  againKernel(r, F_KREC);
}

function refuse(r: u32, errno: u32): void {
  refusedBy(errno);
  setInKernel(r, false);
  setFlags(r, flagsOf(r) | F_REFUSED);
}

function refusedBy(errno: u32): void {
  count(C_KERNEL_REFUSED);
  if (errno == ENOMEM) count(C_REFUSED_ENOMEM);
  else if (errno == EINVAL) count(C_REFUSED_EINVAL);
  else if (errno == EEXIST) count(C_REFUSED_EEXIST);
  else count(C_REFUSED_OTHER);
}

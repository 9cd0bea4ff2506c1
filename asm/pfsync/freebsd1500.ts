/** FreeBSD 15's state record 1500, 360 bytes (docs/protocol/pfsync.md section 6.5). */

import * as L from './layout';
import { bytes, n8, n16, n32 } from './move';
import { freebsdHead } from './parts';

export const STATE_SIZE: u32 = 360;
export const INS: u32 = 15;
export const ACTION_MAX: u32 = 16;
export const TIMEOUTS: u32 = 25;

export function state(w: u32, r: u32): void {
  freebsdHead(w, r);
  bytes(w + 232, r + L.P_TAGNAME, 64);
  bytes(w + 296, r + L.P_RT_IFNAME, 16);
  bytes(w + 312, r + L.P_ORIG_IFNAME, 16);
  n32(w + 328, r + L.P_RTABLE0);
  n16(w + 332, r + L.P_STATE_FLAGS);
  n16(w + 334, r + L.P_QID);
  n16(w + 336, r + L.P_PQID);
  n16(w + 338, r + L.P_DNPIPE);
  n16(w + 340, r + L.P_DNRPIPE);
  n16(w + 342, r + L.P_MAX_MSS);
  n8(w + 344, r + L.P_AF);
  n8(w + 345, r + L.P_STACK_AF);
  n8(w + 346, r + L.P_RT_AF);
  n8(w + 347, r + L.P_PROTO);
  n8(w + 348, r + L.P_STACK_PROTO);
  n8(w + 349, r + L.P_LOG);
  n8(w + 350, r + L.P_TIMEOUT);
  n8(w + 351, r + L.P_DIRECTION);
  n8(w + 352, r + L.P_RT);
  n8(w + 353, r + L.P_MIN_TTL);
  n8(w + 354, r + L.P_SET_TOS);
  bytes(w + 355, r + L.P_SET_PRIO, 2);
  bytes(w + 357, r + L.P_SPARE, 3);
}

/** FreeBSD 14's state record 1400, 277 bytes (docs/protocol/pfsync.md section 6.4). */

import * as L from './layout';
import { bytes, n8, n16, n32 } from './move';
import { freebsdHead } from './parts';

export const STATE_SIZE: u32 = 277;
export const INS: u32 = 13;
export const ACTION_MAX: u32 = 14;
/** With SCTP's five. */
export const TIMEOUTS: u32 = 25;

export function state(w: u32, r: u32): void {
  freebsdHead(w, r);
  n8(w + 232, r + L.P_AF);
  n8(w + 233, r + L.P_PROTO);
  n8(w + 234, r + L.P_DIRECTION);
  n16(w + 235, r + L.P_STATE_FLAGS);
  n8(w + 237, r + L.P_LOG);
  n8(w + 238, r + L.P_SPARE);
  n8(w + 239, r + L.P_TIMEOUT);
  n8(w + 240, r + L.P_SYNC_FLAGS);
  n8(w + 241, r + L.P_UPDATES);
  n16(w + 242, r + L.P_QID);
  n16(w + 244, r + L.P_PQID);
  n16(w + 246, r + L.P_DNPIPE);
  n16(w + 248, r + L.P_DNRPIPE);
  n32(w + 250, r + L.P_RTABLE0);
  n8(w + 254, r + L.P_MIN_TTL);
  n8(w + 255, r + L.P_SET_TOS);
  n16(w + 256, r + L.P_MAX_MSS);
  bytes(w + 258, r + L.P_SET_PRIO, 2);
  n8(w + 260, r + L.P_RT);
  bytes(w + 261, r + L.P_RT_IFNAME, 16);
}

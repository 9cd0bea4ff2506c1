/**
 * OpenBSD's pfsync, version 6: actions and the state record of 264 bytes (docs/protocol/pfsync.md sections 3 and 6.2).
 */

import * as L from './layout';
import { bytes, n8, n16, n32 } from './move';
import { history, key, side } from './parts';

export const STATE_SIZE: u32 = 264;
/** Highest action that this version knows. */
export const ACTION_MAX: u32 = 15;
/** Timeout classes of the sender and receiver: 0 to 19. */
export const TIMEOUTS: u32 = 20;

/** -1: no handler. */
export function kindOf(action: u32): i32 {
  switch (action) {
    case 0:
      return L.KIND_CLR;
    case 2:
      return L.KIND_INS_ACK;
    case 4:
      return L.KIND_UPD_C;
    case 5:
      return L.KIND_UPD_REQ;
    case 6:
      return L.KIND_DEL;
    case 7:
      return L.KIND_DEL_C;
    case 10:
      return L.KIND_BUS;
    case 13:
      return L.KIND_INS;
    case 14:
      return L.KIND_UPD;
    case 15:
      return L.KIND_TDB;
  }
  return -1;
}

function wholeKey(w: u32, r: u32): void {
  key(w, r);
  n16(w + 36, r + L.K_RDOMAIN);
  n8(w + 38, r + L.K_AF);
  n8(w + 39, r + L.K_AF + 1);
}

export function state(w: u32, r: u32): void {
  bytes(w, r + L.P_ID, 8);
  bytes(w + 8, r + L.P_IFNAME, 16);
  wholeKey(w + 24, r + L.P_WIRE);
  wholeKey(w + 64, r + L.P_STACK);
  side(w + 104, r + L.P_SRC);
  side(w + 136, r + L.P_DST);
  history(w + 168, r);
  n32(w + 240, r + L.P_RTABLE0);
  n32(w + 244, r + L.P_RTABLE1);
  n16(w + 248, r + L.P_MAX_MSS);
  n8(w + 250, r + L.P_AF);
  n8(w + 251, r + L.P_PROTO);
  n8(w + 252, r + L.P_DIRECTION);
  n8(w + 253, r + L.P_LOG);
  n8(w + 254, r + L.P_RT);
  n8(w + 255, r + L.P_TIMEOUT);
  n8(w + 256, r + L.P_SYNC_FLAGS);
  n8(w + 257, r + L.P_UPDATES);
  n8(w + 258, r + L.P_MIN_TTL);
  n8(w + 259, r + L.P_SET_TOS);
  n16(w + 260, r + L.P_STATE_FLAGS);
  bytes(w + 262, r + L.P_SET_PRIO, 2);
}

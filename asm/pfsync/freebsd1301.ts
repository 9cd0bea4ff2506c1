/**
 * FreeBSD's state record 1301, 242 bytes: all that FreeBSD 9 to 13 speak (docs/protocol/pfsync.md section 6.3). FreeBSD
 * 9 keeps local flags in the two spare bytes.
 */

import * as L from './layout';
import { bytes, n8 } from './move';
import { freebsdHead } from './parts';

export const STATE_SIZE: u32 = 242;
export const INS: u32 = 1;
export const ACTION_MAX: u32 = 12;
export const TIMEOUTS: u32 = 20;

export function state(w: u32, r: u32): void {
  freebsdHead(w, r);
  n8(w + 232, r + L.P_AF);
  n8(w + 233, r + L.P_PROTO);
  n8(w + 234, r + L.P_DIRECTION);
  bytes(w + 235, r + L.P_SPARE, 2);
  n8(w + 237, r + L.P_LOG);
  n8(w + 238, r + L.P_STATE_FLAGS);
  n8(w + 239, r + L.P_TIMEOUT);
  n8(w + 240, r + L.P_SYNC_FLAGS);
  n8(w + 241, r + L.P_UPDATES);
}

/**
 * Parts of records that all dialects share: sides, keys, counters, and the small records (docs/protocol/pfsync.md
 * sections 4 to 6).
 */

import * as L from './layout';
import { bytes, n8, n16, n32, n64 } from './move';

/** One side of a state, 32 bytes. */
export function side(w: u32, r: u32): void {
  n16(w, r + L.S_FLAGS);
  n8(w + 2, r + L.S_TTL);
  n8(w + 3, r + L.S_SCRUB);
  n32(w + 4, r + L.S_TSMOD);
  n32(w + 8, r + L.S_SEQLO);
  n32(w + 12, r + L.S_SEQHI);
  n32(w + 16, r + L.S_SEQDIFF);
  n16(w + 20, r + L.S_MAXWIN);
  n16(w + 22, r + L.S_MSS);
  n8(w + 24, r + L.S_STATE);
  n8(w + 25, r + L.S_WSCALE);
  bytes(w + 26, r + L.S_PAD, 6);
}

/** Addresses and ports of a key: 36 bytes. */
export function key(w: u32, r: u32): void {
  bytes(w, r, 32);
  n16(w + 32, r + L.K_PORT0);
  n16(w + 34, r + L.K_PORT1);
}

/** From rt_addr to creatorid, 64 bytes: equal in all dialects. */
export function history(w: u32, r: u32): void {
  bytes(w, r + L.P_RT_ADDR, 16);
  n32(w + 16, r + L.P_RULE);
  n32(w + 20, r + L.P_ANCHOR);
  n32(w + 24, r + L.P_NAT_RULE);
  n32(w + 28, r + L.P_CREATION);
  n32(w + 32, r + L.P_EXPIRE);
  n64(w + 36, r + L.P_PACKETS0);
  n64(w + 44, r + L.P_PACKETS1);
  n64(w + 52, r + L.P_BYTES0);
  n64(w + 60, r + L.P_BYTES1);
  bytes(w + 68, r + L.P_CREATORID, 4);
}

/** The first 232 bytes of FreeBSD's three records. */
export function freebsdHead(w: u32, r: u32): void {
  bytes(w, r + L.P_ID, 8);
  bytes(w + 8, r + L.P_IFNAME, 16);
  key(w + 24, r + L.P_WIRE);
  key(w + 60, r + L.P_STACK);
  side(w + 96, r + L.P_SRC);
  side(w + 128, r + L.P_DST);
  history(w + 160, r);
}

export function clear(w: u32, r: u32): void {
  bytes(w, r + L.P_IFNAME, 16);
  bytes(w + 16, r + L.P_CREATORID, 4);
}

/** INS_ACK, UPD_REQ, DEL_C. */
export function identity(w: u32, r: u32): void {
  bytes(w, r + L.P_ID, 8);
  bytes(w + 8, r + L.P_CREATORID, 4);
}

export function compressed(w: u32, r: u32): void {
  bytes(w, r + L.P_ID, 8);
  side(w + 8, r + L.P_SRC);
  side(w + 40, r + L.P_DST);
  bytes(w + 72, r + L.P_CREATORID, 4);
  n32(w + 76, r + L.P_EXPIRE);
  n8(w + 80, r + L.P_TIMEOUT);
  n8(w + 81, r + L.P_STATE_FLAGS);
  bytes(w + 82, r + L.P_SPARE, 2);
}

export function bulkStatus(w: u32, r: u32): void {
  bytes(w, r + L.P_CREATORID, 4);
  n32(w + 4, r + L.P_ENDTIME);
  n8(w + 8, r + L.P_STATUS);
  bytes(w + 9, r + L.P_STATUS_PAD, 3);
}

/** FreeBSD's and old OpenBSD's TDB, 48 bytes. */
export function tdb48(w: u32, r: u32): void {
  bytes(w, r + L.P_SPI, 4);
  bytes(w + 4, r + L.P_TDB_DST, 28);
  n32(w + 32, r + L.P_RPL);
  n64(w + 36, r + L.P_CUR_BYTES);
  n8(w + 44, r + L.P_SPROTO);
  n8(w + 45, r + L.P_TDB_UPDATES);
  n16(w + 46, r + L.P_TDB_RDOMAIN);
}

/** OpenBSD's TDB, 52 bytes. */
export function tdb52(w: u32, r: u32): void {
  bytes(w, r + L.P_SPI, 4);
  bytes(w + 4, r + L.P_TDB_DST, 28);
  n64(w + 32, r + L.P_RPL);
  n64(w + 40, r + L.P_CUR_BYTES);
  n8(w + 48, r + L.P_SPROTO);
  n8(w + 49, r + L.P_TDB_UPDATES);
  n16(w + 50, r + L.P_TDB_RDOMAIN);
}

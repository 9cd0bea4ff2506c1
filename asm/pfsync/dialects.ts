/**
 * The dialects side by side: one case each. A FreeBSD receives the record formats of all older versions as well, so
 * what a message holds follows from its action and not only from the dialect.
 */

import * as f1301 from './freebsd1301';
import * as f1400 from './freebsd1400';
import * as f1500 from './freebsd1500';
import * as L from './layout';
import { setWriting } from './move';
import * as openbsd from './openbsd';
import { bulkStatus, clear, compressed, identity, tdb48, tdb52 } from './parts';

export function isFreebsd(dialect: u32): bool {
  return dialect != L.D_OPENBSD;
}

export function version(dialect: u32): u32 {
  return isFreebsd(dialect) ? 5 : 6;
}

function actionMax(dialect: u32): u32 {
  switch (dialect) {
    case L.D_FREEBSD_1301:
      return f1301.ACTION_MAX;
    case L.D_FREEBSD_1400:
      return f1400.ACTION_MAX;
    case L.D_FREEBSD_1500:
      return f1500.ACTION_MAX;
  }
  return openbsd.ACTION_MAX;
}

/** Classes of timeouts that the dialect knows. */
export function timeouts(dialect: u32): u32 {
  switch (dialect) {
    case L.D_FREEBSD_1301:
      return f1301.TIMEOUTS;
    case L.D_FREEBSD_1400:
      return f1400.TIMEOUTS;
    case L.D_FREEBSD_1500:
      return f1500.TIMEOUTS;
  }
  return openbsd.TIMEOUTS;
}

function stateSize(format: u32): u32 {
  switch (format) {
    case L.D_FREEBSD_1301:
      return f1301.STATE_SIZE;
    case L.D_FREEBSD_1400:
      return f1400.STATE_SIZE;
    case L.D_FREEBSD_1500:
      return f1500.STATE_SIZE;
  }
  return openbsd.STATE_SIZE;
}

function freebsdIns(format: u32): u32 {
  if (format == L.D_FREEBSD_1301) return f1301.INS;
  return format == L.D_FREEBSD_1400 ? f1400.INS : f1500.INS;
}

/** Which record format an action announces; for those without a state the dialect's own. */
export function formatOf(dialect: u32, action: u32): u32 {
  if (!isFreebsd(dialect)) return dialect;
  if (action == f1301.INS || action == f1301.INS + 2) return L.D_FREEBSD_1301;
  if (action == f1400.INS || action == f1400.INS + 1) return L.D_FREEBSD_1400;
  if (action == f1500.INS || action == f1500.INS + 1) return L.D_FREEBSD_1500;
  return dialect;
}

function freebsdKindOf(dialect: u32, action: u32): i32 {
  switch (action) {
    case 0:
      return L.KIND_CLR;
    case 1:
    case 13:
    case 15:
      return L.KIND_INS;
    case 2:
      return L.KIND_INS_ACK;
    case 3:
    case 14:
    case 16:
      return L.KIND_UPD;
    case 4:
      return L.KIND_UPD_C;
    case 5:
      return L.KIND_UPD_REQ;
    case 6:
      // Only the old versions take it.
      return dialect == L.D_FREEBSD_1301 ? L.KIND_DEL : -1;
    case 7:
      return L.KIND_DEL_C;
    case 10:
      return L.KIND_BUS;
    case 11:
      return L.KIND_TDB;
    case 12:
      return L.KIND_EOF;
  }
  return -1;
}

/** -1: the dialect has no handler for this action. */
export function kindOf(dialect: u32, action: u32): i32 {
  if (action > actionMax(dialect)) return -1;
  return isFreebsd(dialect) ? freebsdKindOf(dialect, action) : openbsd.kindOf(action);
}

export function actionOf(dialect: u32, kind: u32): u32 {
  switch (kind) {
    case L.KIND_INS:
      return isFreebsd(dialect) ? freebsdIns(dialect) : 13;
    case L.KIND_UPD:
      if (!isFreebsd(dialect)) return 14;
      return dialect == L.D_FREEBSD_1301 ? 3 : freebsdIns(dialect) + 1;
    case L.KIND_BUS:
      return 10;
    case L.KIND_TDB:
      return isFreebsd(dialect) ? 11 : 15;
    case L.KIND_EOF:
      return 12;
  }
  // CLR, INS_ACK, UPD_C, UPD_REQ, DEL, DEL_C have the same numbers everywhere.
  return kind;
}

export function itemSize(format: u32, kind: u32): u32 {
  switch (kind) {
    case L.KIND_CLR:
      return 20;
    case L.KIND_INS_ACK:
    case L.KIND_UPD_REQ:
    case L.KIND_DEL_C:
    case L.KIND_BUS:
      return 12;
    case L.KIND_UPD_C:
      return 84;
    case L.KIND_TDB:
      return isFreebsd(format) ? 48 : 52;
    case L.KIND_EOF:
      return 0;
  }
  return stateSize(format);
}

function moveState(format: u32, wire: u32, item: u32): void {
  switch (format) {
    case L.D_FREEBSD_1301:
      f1301.state(wire, item);
      return;
    case L.D_FREEBSD_1400:
      f1400.state(wire, item);
      return;
    case L.D_FREEBSD_1500:
      f1500.state(wire, item);
      return;
  }
  openbsd.state(wire, item);
}

/** Moves one record from the wire to the neutral record, or with `writing` the other way. */
export function move(format: u32, kind: u32, wire: u32, item: u32, writing: bool): void {
  setWriting(writing);
  switch (kind) {
    case L.KIND_CLR:
      clear(wire, item);
      return;
    case L.KIND_INS_ACK:
    case L.KIND_UPD_REQ:
    case L.KIND_DEL_C:
      identity(wire, item);
      return;
    case L.KIND_UPD_C:
      compressed(wire, item);
      return;
    case L.KIND_BUS:
      bulkStatus(wire, item);
      return;
    case L.KIND_TDB:
      if (isFreebsd(format)) tdb48(wire, item);
      else tdb52(wire, item);
      return;
    case L.KIND_EOF:
      return;
  }
  moveState(format, wire, item);
}

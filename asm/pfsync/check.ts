/**
 * Whether a record may be used (docs/protocol/pfsync.md sections 10.3 and 10.5). A bad record does not stop the others.
 */

import { isFreebsd, timeouts } from './dialects';
import * as L from './layout';

const STATE_MAX: u8 = 12;
const DIRECTION_MAX: u8 = 2;

function knownFamily(dialect: u32, af: u8): bool {
  return af == 2 || af == (isFreebsd(dialect) ? <u8>28 : <u8>24);
}

function ended(name: u32): bool {
  for (let i: u32 = 0; i < 16; i++) if (load<u8>(name + i) == 0) return true;
  return false;
}

function badFamily(dialect: u32, r: u32): bool {
  if (!knownFamily(dialect, load<u8>(r + L.P_AF))) return true;
  if (isFreebsd(dialect)) return false;
  const wire = load<u8>(r + L.P_WIRE + L.K_AF);
  const stack = load<u8>(r + L.P_STACK + L.K_AF);
  // OpenBSD looks at the keys' families only when one of them is set.
  if (wire == 0 && stack == 0) return false;
  return !knownFamily(dialect, wire) || !knownFamily(dialect, stack);
}

/** 0, or why the neutral record at `r` is refused. */
export function refusalOf(dialect: u32, kind: u32, r: u32): u32 {
  const whole = kind == L.KIND_INS || kind == L.KIND_UPD || kind == L.KIND_DEL;
  if (!whole && kind != L.KIND_UPD_C) return 0;
  const src = load<u8>(r + L.P_SRC + L.S_STATE);
  const dst = load<u8>(r + L.P_DST + L.S_STATE);
  if (load<u8>(r + L.P_TIMEOUT) >= <u8>timeouts(dialect) || src > STATE_MAX || dst > STATE_MAX) return L.REFUSED_BADVAL;
  if (!whole) return 0;
  if (load<u8>(r + L.P_DIRECTION) > DIRECTION_MAX || badFamily(dialect, r)) return L.REFUSED_BADVAL;
  if (load<u32>(r + L.P_CREATORID) == 0) return L.REFUSED_NO_CREATOR;
  return ended(r + L.P_IFNAME) ? 0 : L.REFUSED_BADNAME;
}

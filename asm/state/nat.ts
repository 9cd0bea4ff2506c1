/** Translation, told by the difference between the original and the reply tuple. */

import {
  KIND_ICMP,
  KIND_PORTS,
  kindOf,
  S_FAMILY,
  S_ODPORT,
  S_ODST,
  S_OSPORT,
  S_OSRC,
  S_PROTO,
  S_RDPORT,
  S_RDST,
  S_RSPORT,
  S_RSRC,
} from './layout';

function sameAddress(a: u32, b: u32): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}

/** True when the reply goes to another address or port than the original tuple came from. */
export function hasSourceNat(r: u32): bool {
  if (!sameAddress(r + <u32>S_RDST, r + <u32>S_OSRC)) return true;
  const kind = kindOf(load<u8>(r, S_PROTO), load<u8>(r, S_FAMILY));
  if (kind == KIND_PORTS) return load<u16>(r, S_RDPORT) != load<u16>(r, S_OSPORT);
  return kind == KIND_ICMP && load<u16>(r, S_RSPORT) != load<u16>(r, S_OSPORT);
}

/** True when the reply comes from another address or port than the original tuple went to. */
export function hasDestinationNat(r: u32): bool {
  if (!sameAddress(r + <u32>S_RSRC, r + <u32>S_ODST)) return true;
  const kind = kindOf(load<u8>(r, S_PROTO), load<u8>(r, S_FAMILY));
  return kind == KIND_PORTS && load<u16>(r, S_RSPORT) != load<u16>(r, S_ODPORT);
}

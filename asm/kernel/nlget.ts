/** Reads netlink attributes: each length is checked against what is left before a byte is read. */

export function be16(p: u32): u32 {
  return bswap<u16>(load<u16>(p));
}

export function be32(p: u32): u32 {
  return bswap<u32>(load<u32>(p));
}

/** Start of the attribute after the one at `p`, never beyond `end`. */
export function nextAttr(p: u32, len: u32, end: u32): u32 {
  const step = (len + 3) & ~3;
  return step >= end - p ? end : p + step;
}

/** Length of the attribute at `p`, or 0 if it does not fit. */
export function attrLen(p: u32, end: u32): u32 {
  const len: u32 = load<u16>(p);
  return len < 4 || len > end - p ? 0 : len;
}

export function attrType(p: u32): u32 {
  return load<u16>(p, 2) & 0x3fff;
}

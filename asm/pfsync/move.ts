/**
 * Moves one field between a record on the wire and the neutral record (layout.ts), in the direction that is set. One
 * list of fields a dialect serves reading and writing, so the two cannot differ.
 */

let writing: bool = false;

/** true: from the neutral record to the wire. */
export function setWriting(on: bool): void {
  writing = on;
}

export function bytes(wire: u32, item: u32, size: u32): void {
  if (writing) memory.copy(wire, item, size);
  else memory.copy(item, wire, size);
}

export function n8(wire: u32, item: u32): void {
  if (writing) store<u8>(wire, load<u8>(item));
  else store<u8>(item, load<u8>(wire));
}

export function n16(wire: u32, item: u32): void {
  if (writing) store<u16>(wire, bswap<u16>(load<u16>(item)));
  else store<u16>(item, bswap<u16>(load<u16>(wire)));
}

export function n32(wire: u32, item: u32): void {
  if (writing) store<u32>(wire, bswap<u32>(load<u32>(item)));
  else store<u32>(item, bswap<u32>(load<u32>(wire)));
}

export function n64(wire: u32, item: u32): void {
  if (writing) store<u64>(wire, bswap<u64>(load<u64>(item)));
  else store<u64>(item, bswap<u64>(load<u64>(wire)));
}

/**
 * An expectation in the stream (message 15): which connection a helper of the kernel lets in. Pure codec.
 *
 *     0  u8   1 it is there, 2 it is gone
 *     1  u8   family (2, 10)
 *     2       attributes one after the other: type u8, length u16 (big endian), content as ctnetlink has it
 *
 * The contents of the attributes go from kernel to kernel as they are. Nested ones carry their headers in little
 * endian, the order of every machine that Carpio is built for.
 */

/** A payload of the kernel's: nfgenmsg and attributes. */
const NFGENMSG = 4;
const THERE = 1;
const GONE = 2;
/** MASTER, TUPLE, MASK, TIMEOUT, HELP_NAME, ZONE, FLAGS, CLASS, NAT, FN. The id (5) is each kernel's own. */
const CARRIED = new Set([1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
/** Longest attribute and longest message, bytes: more than the kernel's largest. */
const MOST_ATTRIBUTE = 256;
const MOST = 1024;

interface ExpectationMessage {
  gone: boolean;
  /** nfgenmsg and attributes, as src/kernel/expect.ts takes them. */
  payload: Buffer;
}

/** `null`: not an expectation, or longer than any that the kernel makes. */
export function encodeExpectation({ gone, payload }: ExpectationMessage): Buffer | null {
  if (payload.length < NFGENMSG) return null;
  const parts: Buffer[] = [Buffer.of(gone ? GONE : THERE, payload.readUInt8(0))];
  for (let at = NFGENMSG; at + 4 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) return null;
    const type = payload.readUInt16LE(at + 2) & 0x3fff;
    if (CARRIED.has(type)) {
      if (length - 4 > MOST_ATTRIBUTE) return null;
      const head = Buffer.of(type, 0, 0);
      head.writeUInt16BE(length - 4, 1);
      parts.push(head, payload.subarray(at + 4, at + length));
    }
    at += (length + 3) & ~3;
  }
  const whole = Buffer.concat(parts);
  return whole.length > MOST ? null : whole;
}

/** `null`: cut short, an attribute that is not carried, twice the same, or no tuple and master in it. */
export function decodeExpectation(content: Buffer): ExpectationMessage | null {
  if (content.length < 2 || content.length > MOST) return null;
  const [kind, family] = [content.readUInt8(0), content.readUInt8(1)];
  if ((kind !== THERE && kind !== GONE) || (family !== 2 && family !== 10)) return null;
  const parts: Buffer[] = [Buffer.of(family, 0, 0, 0)];
  const seen = new Set<number>();
  for (let at = 2; at < content.length; ) {
    if (at + 3 > content.length) return null;
    const type = content.readUInt8(at);
    const length = content.readUInt16BE(at + 1);
    at += 3;
    if (!CARRIED.has(type) || seen.has(type) || length > MOST_ATTRIBUTE || at + length > content.length) return null;
    seen.add(type);
    const attribute = Buffer.alloc((4 + length + 3) & ~3);
    attribute.writeUInt16LE(4 + length, 0);
    attribute.writeUInt16LE(type, 2);
    content.copy(attribute, 4, at, at + length);
    parts.push(attribute);
    at += length;
  }
  return seen.has(1) && seen.has(2) ? { gone: kind === GONE, payload: Buffer.concat(parts) } : null;
}

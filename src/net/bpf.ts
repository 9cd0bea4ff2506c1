/**
 * Socket filters for frames: a classic BPF program (8 bytes an instruction: u16 code, u8 jump if true, u8 if false, u32
 * k).
 */

const LD_WORD = 0x20;
const LD_BYTE = 0x30;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const ALL = 0xffff;
/** Jumps of the classic BPF reach 255 instructions. */
export const MOST_ADDRESSES = 240;

/**
 * Passes frames of which certain bytes have certain values and a word is one of a list, so that a busy segment costs
 * nothing.
 * @param bytes offset and value; all must fit
 * @param at offset of the word (big endian)
 * @param words at most MOST_ADDRESSES; those beyond are not looked for
 */
export function frameFilter(bytes: readonly [number, number][], at: number, words: readonly number[]): Buffer {
  const wanted = words.slice(0, MOST_ADDRESSES);
  // The end: refuse, then pass.
  const refuse = 2 * bytes.length + 1 + wanted.length;
  const lines: [number, number, number, number][] = [
    ...bytes.flatMap(([offset, value], i): [number, number, number, number][] => [
      [LD_BYTE, 0, 0, offset],
      [JUMP_EQUAL, 0, refuse - (2 * i + 2), value],
    ]),
    [LD_WORD, 0, 0, at],
    ...wanted.map((word, i): [number, number, number, number] => [JUMP_EQUAL, wanted.length - i, 0, word]),
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, ALL],
  ];
  const program = Buffer.alloc(lines.length * 8);
  lines.forEach(([code, yes, no, k], i) => {
    program.writeUInt16LE(code, i * 8);
    program.writeUInt8(yes, i * 8 + 2);
    program.writeUInt8(no, i * 8 + 3);
    program.writeUInt32LE(k >>> 0, i * 8 + 4);
  });
  return program;
}

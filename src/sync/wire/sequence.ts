/** Arithmetic of the stream's sequence numbers: 32 bits, which wrap. Pure. */

/** Does `a` come after `b`? */
export function seqAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function seqAdd(seq: number, n: number): number {
  return (seq + n) >>> 0;
}

/**
 * Which counters of sealed datagrams have been seen: each is accepted once, and only while it is among the last `SIZE`
 * (the sliding window of RFC 4303 section 3.4.3). Datagrams that overtake each other are accepted, replayed ones are
 * not.
 */
const SIZE = 1024;

export class ReplayWindow {
  private highest = 0;
  private readonly seen = new Uint32Array(SIZE / 32);

  /** Could a datagram with this counter be new? Asked before it is opened; nothing is remembered. */
  fresh(counter: bigint): boolean {
    const n = Number(counter);
    if (!Number.isSafeInteger(n) || n === 0) return false;
    if (n > this.highest) return true;
    return this.highest - n < SIZE && !this.bit(n);
  }

  /** Remembers the counter of a datagram whose seal was right. */
  take(counter: bigint): void {
    const n = Number(counter);
    if (n > this.highest) {
      const from = Math.max(this.highest + 1, n - SIZE + 1);
      for (let i = from; i <= n; i++) this.clear(i);
      this.highest = n;
    }
    const at = n % SIZE;
    this.seen[at >>> 5] = (this.seen[at >>> 5] ?? 0) | (1 << (at & 31));
  }

  private bit(n: number): boolean {
    const at = n % SIZE;
    return ((this.seen[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0;
  }

  private clear(n: number): void {
    const at = n % SIZE;
    this.seen[at >>> 5] = (this.seen[at >>> 5] ?? 0) & ~(1 << (at & 31));
  }
}

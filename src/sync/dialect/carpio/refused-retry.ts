/**
 * Tries again what the kernel has refused: its table may have room by now. A state that this kernel lacks, mirrored or
 * adopted, makes both nodes report "not in step", and nothing else would try again.
 */

/** Milliseconds until the first attempt and between two attempts at most. */
const FIRST = 1000;
const MOST = 30_000;

export class RefusedRetry {
  private nextAt = Number.POSITIVE_INFINITY;
  private wait = FIRST;

  /** When `due` wants to be asked at the latest, ms. */
  get at(): number {
    return this.nextAt;
  }

  /** Is it time to try again? @param missing states that this kernel lacks */
  due(missing: number, now: number): boolean {
    if (missing === 0) {
      this.nextAt = Number.POSITIVE_INFINITY;
      this.wait = FIRST;
    } else if (this.nextAt === Number.POSITIVE_INFINITY) {
      this.nextAt = now + this.wait;
    } else if (now >= this.nextAt) {
      this.wait = Math.min(MOST, this.wait * 2);
      this.nextAt = now + this.wait;
      return true;
    }
    return false;
  }
}

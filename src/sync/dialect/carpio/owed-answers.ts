/**
 * When the answers that a round had no room for are said: a sweep says them in the next round (asm/state/answers.ts).
 * Without that two nodes that disagree about a state would both rest.
 */

/** Milliseconds until a round has surely passed: 128, and one for the clock's fraction. */
const ROUND = 129;

export class OwedAnswers {
  private payAt = Number.POSITIVE_INFINITY;

  /** When `due` wants to be asked at the latest, ms. */
  get at(): number {
    return this.payAt;
  }

  /** Is it time for a sweep? @param owed answers that wait */
  due(owed: number, now: number): boolean {
    const due = owed > 0 && now >= this.payAt;
    if (owed === 0 || due) this.payAt = Number.POSITIVE_INFINITY;
    else if (this.payAt === Number.POSITIVE_INFINITY) this.payAt = now + ROUND;
    return due;
  }
}

/**
 * `carpio verify`: waits until both nodes have compared again, and with `deep` until both have audited their kernels.
 */
import type { SyncDriver } from '../dialect/carpio/runner.ts';
import type { StepCause } from '../session/in-step.ts';
import { stepReason } from '../session/words.ts';
import { auditLines } from '../table/audit-lines.ts';
import type { Engine } from '../table/engine.ts';
import type { Audit } from './audit.ts';
import type { FromWorker, VerifyResult } from './messages.ts';

const PATIENCE_MS = 3000;
const DEEP_PATIENCE_MS = 30_000;
const ASK_AGAIN_MS = 200;
const DEEP_ASK_AGAIN_MS = 1000;

interface Waiting {
  id: number;
  deep: boolean;
  /** Comparisons count from here on; `deep` moves it to the end of the audits. */
  from: number;
  until: number;
  askAt: number;
  auditBefore: number;
  correctionsBefore: number;
  audited: boolean;
}

const wordsOf = (cause: StepCause | null): string | null => (cause === null ? null : stepReason(cause));

export class Verifier {
  private readonly driver: SyncDriver;
  private readonly engine: Engine;
  private readonly audit: Audit;
  private readonly post: (message: FromWorker) => void;
  private waiting: Waiting[] = [];

  constructor(driver: SyncDriver, engine: Engine, audit: Audit, post: (message: FromWorker) => void) {
    this.driver = driver;
    this.engine = engine;
    this.audit = audit;
    this.post = post;
  }

  deadline(): number {
    return this.waiting.reduce((at, w) => Math.min(at, w.askAt, w.until), Number.POSITIVE_INFINITY);
  }

  begin(id: number, deep: boolean, now: number): void {
    if (deep) this.audit.begin('audit', now);
    this.waiting.push({
      id,
      deep,
      from: now,
      until: now + (deep ? DEEP_PATIENCE_MS : PATIENCE_MS),
      askAt: now,
      auditBefore: this.audit.finished,
      correctionsBefore: this.audit.corrections,
      audited: !deep,
    });
  }

  step(now: number): void {
    if (this.waiting.length === 0) return;
    this.waiting = this.waiting.filter((one) => !this.settled(one, now));
  }

  private settled(one: Waiting, now: number): boolean {
    if (!one.audited) {
      if (!this.bothAudited(one, now)) return this.givenUp(one, now);
      one.audited = true;
      one.from = now;
    }
    const { ownCompared, mirroredCompared, alive } = this.driver.state;
    const since = (at: number | undefined): boolean => at !== undefined && at >= one.from;
    const compared = alive && since(ownCompared?.at) && since(mirroredCompared?.at);
    const { inStep, cause } = this.driver.inStep(now);
    if (compared && inStep !== null) {
      const corrections = this.corrections(one);
      const corrected = corrections === null ? 0 : corrections.here + (corrections.peer ?? 0);
      const why =
        corrected > 0 ? `${corrected} differences between a kernel and its table had to be corrected` : wordsOf(cause);
      this.answer(one, inStep && corrected === 0, why);
      return true;
    }
    if (now >= one.askAt) {
      one.askAt = now + ASK_AGAIN_MS;
      this.driver.verify(now);
    }
    return this.givenUp(one, now);
  }

  private bothAudited(one: Waiting, now: number): boolean {
    const peer = this.driver.peerAudit;
    const answered = peer !== null && peer.at >= one.from;
    if (!answered && now >= one.askAt) {
      one.askAt = now + DEEP_ASK_AGAIN_MS;
      this.driver.askPeerToAudit(now);
    }
    return answered && this.audit.finished !== one.auditBefore && !this.audit.busy();
  }

  private givenUp(one: Waiting, now: number): boolean {
    if (now < one.until) {
      one.askAt = Math.max(one.askAt, now + 10);
      return false;
    }
    const { inStep, cause } = this.driver.inStep(now);
    const why =
      wordsOf(cause) ?? 'the two nodes could not compare in time (too much is changing, or the peer does not answer)';
    this.answer(one, inStep === false ? false : null, why);
    return true;
  }

  private corrections(one: Waiting): VerifyResult['corrections'] {
    if (!one.deep) return null;
    return { here: this.audit.corrections - one.correctionsBefore, peer: this.driver.peerAudit?.corrections ?? null };
  }

  private differences(): string[] {
    const peer = this.driver.peerAudit?.lines ?? [];
    return [...auditLines(this.engine), ...peer.map((line) => `peer: ${line}`)];
  }

  private answer(one: Waiting, verdict: boolean | null, reason: string | null): void {
    const { own, mirrored } = this.driver.counts();
    this.post({
      type: 'verified',
      id: one.id,
      result: {
        inStep: verdict,
        reason,
        states: { own, mirrored },
        digest: this.engine.digest('own').sum.toString('hex'),
        corrections: this.corrections(one),
        ...(one.deep && one.audited ? { differences: this.differences() } : {}),
      },
    });
  }
}

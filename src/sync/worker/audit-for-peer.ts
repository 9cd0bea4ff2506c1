/** The peer asks this node to read its kernel's table again: one audit answers, begun after the question. */
import type { Audit } from './audit.ts';

interface AnswerPorts {
  /** @param corrections differences between table and kernel that the audit has corrected */
  answer(corrections: number, now: number): void;
}

export class AuditForPeer {
  private readonly audit: Audit;
  private readonly ports: AnswerPorts;
  /** What the audit's figures were when the question came; null: none waits for its answer. */
  private before: { finished: number; corrections: number } | null = null;

  constructor(audit: Audit, ports: AnswerPorts) {
    this.audit = audit;
    this.ports = ports;
  }

  asked(now: number): void {
    if (this.before !== null) return;
    this.before = { finished: this.audit.finished, corrections: this.audit.corrections };
    this.audit.begin('audit', now);
  }

  step(now: number): void {
    const { before, audit } = this;
    if (before === null || audit.busy() || audit.finished === before.finished) return;
    this.before = null;
    this.ports.answer(audit.corrections - before.corrections, now);
  }
}

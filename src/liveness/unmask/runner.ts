/**
 * Holds the peer's advertisements against its word on the sync link (liveness/unmask/machine.ts), on the real clock.
 */
import type { ArrivedAdvert, PeerReport } from '../../carp/types.ts';
import type { DeniedCause } from '../../contract/causes.ts';
import type { Clock } from '../../contract/clock.ts';
import { REAL_CLOCK } from '../../contract/clock.ts';
import type { Tap, TapMaker } from '../../contract/tap.ts';
import type { Judged, MaskState } from './machine.ts';
import { createMask, expireMask, maskDeadline, maskedAdvert, maskReport } from './machine.ts';
import { type MaskStep, recordedJudged, recordedMask, recordedMasked } from './recorded.ts';

interface UnmaskerPorts {
  counts(masked: ArrivedAdvert): void;
  refused(masked: ArrivedAdvert, cause: DeniedCause): void;
}

export class Unmasker {
  private readonly ports: UnmaskerPorts;
  private readonly state: MaskState = createMask();
  private readonly clock: Clock;
  private readonly tap: Tap | null;
  private timer: (() => void) | null = null;

  constructor(ports: UnmaskerPorts, clock: Clock = REAL_CLOCK, taps: TapMaker | null = null) {
    this.tap = taps?.tap('mask', () => recordedMask(this.state)) ?? null;
    this.ports = ports;
    this.clock = clock;
  }

  advert(masked: ArrivedAdvert): void {
    const now = this.clock.nowUs();
    const input = this.before({ call: 'advert', masked: recordedMasked(masked), now });
    this.settle(maskedAdvert(this.state, masked, now), input);
  }

  report(report: PeerReport | null): void {
    const now = this.clock.nowUs();
    const input = this.before({ call: 'report', report, now });
    this.settle(maskReport(this.state, report, now), input);
  }

  close(): void {
    this.timer?.();
    this.timer = null;
  }

  private expire(): void {
    const now = this.clock.nowUs();
    const input = this.before({ call: 'expire', now });
    this.settle(expireMask(this.state, now), input);
  }

  private before(input: MaskStep): string | null {
    return this.tap?.before(input) ?? null;
  }

  private settle(judged: Judged[], input: string | null): void {
    if (input !== null) this.tap?.after(input, recordedJudged(judged));
    for (const { masked, refused } of judged) {
      if (refused === null) this.ports.counts(masked);
      else this.ports.refused(masked, refused);
    }
    this.close();
    const deadline = maskDeadline(this.state);
    if (deadline === null) return;
    const wait = Math.max(1, Math.ceil((deadline - this.clock.nowUs()) / 1000));
    this.timer = this.clock.later(wait, () => this.expire());
  }
}

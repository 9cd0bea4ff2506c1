/** Holds the peer's advertisements against its word on the sync link (carp/unmask.ts), on the real clock. */
import type { PeerReport } from '../carp/types.ts';
import type { Judged, MaskedAdvert, MaskState } from '../carp/unmask.ts';
import { createMask, expireMask, maskDeadline, maskedAdvert, maskReport } from '../carp/unmask.ts';
import type { Clock } from './clock.ts';
import { REAL_CLOCK } from './clock.ts';

export interface UnmaskerPorts {
  counts(masked: MaskedAdvert): void;
  refused(masked: MaskedAdvert, reason: string): void;
}

export class Unmasker {
  private readonly ports: UnmaskerPorts;
  private readonly state: MaskState = createMask();
  private readonly clock: Clock;
  private timer: (() => void) | null = null;

  constructor(ports: UnmaskerPorts, clock: Clock = REAL_CLOCK) {
    this.ports = ports;
    this.clock = clock;
  }

  advert(masked: MaskedAdvert): void {
    this.settle(maskedAdvert(this.state, masked, this.clock.nowUs()));
  }

  report(report: PeerReport | null, lastWords: bigint | null): void {
    this.settle(maskReport(this.state, report, lastWords, this.clock.nowUs()));
  }

  close(): void {
    this.timer?.();
    this.timer = null;
  }

  private settle(judged: Judged[]): void {
    for (const { masked, refused } of judged) {
      if (refused === null) this.ports.counts(masked);
      else this.ports.refused(masked, refused);
    }
    this.close();
    const deadline = maskDeadline(this.state);
    if (deadline === null) return;
    const wait = Math.max(1, Math.ceil((deadline - this.clock.nowUs()) / 1000));
    this.timer = this.clock.later(wait, () => this.settle(expireMask(this.state, this.clock.nowUs())));
  }
}

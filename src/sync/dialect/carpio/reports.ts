/** The two nodes' reports of themselves, which the heartbeats carry. */
import { masterIn, splitReport } from '../../wire/report-parts.ts';
import type { HomeKeeper } from './home-keeper.ts';
import type { Outbox } from './outbox.ts';

export class Reports {
  private readonly outbox: Outbox;
  private readonly homes: HomeKeeper;
  private own: Buffer = Buffer.alloc(0);
  private id = 0;
  /** Repeated twenty times a second, and nearly always the same. */
  private peer: { content: Buffer; masterAny: boolean | null } = { content: Buffer.alloc(0), masterAny: null };

  constructor(outbox: Outbox, homes: HomeKeeper) {
    this.outbox = outbox;
    this.homes = homes;
  }

  setOwn(report: Buffer): void {
    this.own = report;
    this.homes.setOwn(report);
  }

  /** A heartbeat. Acknowledgements under load are many, and nobody needs the report with each of them. */
  beat(withReport: boolean): void {
    if (!withReport) {
      this.outbox.beat(Buffer.alloc(0));
      return;
    }
    this.id = (this.id + 1) & 0xff;
    for (const part of splitReport(this.own, this.outbox.messageRoom, this.id)) this.outbox.beat(part);
  }

  /** The peer's report. @returns whether the peer is master of anything; `null`: it is no report */
  take(content: Buffer): boolean | null {
    if (!content.equals(this.peer.content)) this.peer = { content, masterAny: masterIn(content) };
    this.homes.setPeer(content);
    return this.peer.masterAny;
  }
}

/** Where this node stands in its pair: the demotion `sync`, and the report that the peer gets. */
import type { GroupEvent, GroupState } from '../carp/types.ts';
import type { ReportExtras } from '../liveness/peer-report.ts';
import { makeReport, masterOfAny } from '../liveness/peer-report.ts';

/** Weight of the reason `sync`: worse than any skew below it, better than a lost link (240). */
const SYNC_WEIGHT = 200;

interface StandingPorts {
  /** Null: the node does not sync states at all. */
  sync(): { inStep: boolean | null; checkedMs: number } | null;
  group(): GroupState;
  /** Monotonic us: when this node last went on after it had stood still. */
  wokeUs(): number;
  feed(event: GroupEvent): void;
  tell(master: boolean, report: string): void;
  extras(): Omit<ReportExtras, 'inStep'>;
}

export class Standing {
  private readonly ports: StandingPorts;
  private weighed = false;
  private lastReport = '';
  private lastMaster = false;

  constructor(ports: StandingPorts) {
    this.ports = ports;
  }

  /** A node that is not master and not proven to be in step would lose connections if it took the lead. */
  weigh(configured: boolean): void {
    if (!configured) return;
    const wanted = !masterOfAny(this.ports.group()) && !this.proven();
    if (wanted === this.weighed) return;
    this.weighed = wanted;
    if (wanted) this.ports.feed({ type: 'demote', reason: 'sync', weight: SYNC_WEIGHT });
    else this.ports.feed({ type: 'undemote', reason: 'sync' });
  }

  /** The peer holds an advert that it did not expect until it has this: it must not wait for the devices to come up. */
  report(): void {
    const sync = this.ports.sync();
    if (sync === null) return;
    const group = this.ports.group();
    const master = masterOfAny(group);
    const report = makeReport(group, { ...this.ports.extras(), inStep: sync.inStep });
    if (report === this.lastReport && master === this.lastMaster) return;
    this.lastReport = report;
    this.lastMaster = master;
    this.ports.tell(master, report);
  }

  // A comparison from before a sleep proves nothing: the peer may have led meanwhile.
  private proven(): boolean {
    const sync = this.ports.sync();
    return sync !== null && sync.inStep === true && sync.checkedMs * 1000 > this.ports.wokeUs();
  }
}

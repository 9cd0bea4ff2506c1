/**
 * Carries out what the session machine decides: opens and seals datagrams, moves records between them and the
 * WebAssembly table, keeps what must be sent again. Deterministic and without I/O of its own: links, kernel, clock and
 * entropy come through `DriverPorts`, so that the simulator runs this very file.
 */

import type { KeyNotice } from '../../../contract/sync-notice.ts';
import type { Tap } from '../../../contract/tap.ts';
import { Repairer } from '../../repair/runner.ts';
import type { PairSecret } from '../../seal/pair-keys.ts';
import type { InStep } from '../../session/in-step.ts';
import { inStep } from '../../session/in-step.ts';
import { nextSyncDeadline, stepSync } from '../../session/machine.ts';
import type { Counts, SyncAction, SyncEvent, SyncState } from '../../session/state.ts';
import { createSync, LIMITS, TIMING } from '../../session/state.ts';
import { noticeOf } from '../../session/words.ts';
import { auditLines, packLines } from '../../table/audit-lines.ts';
import type { Engine } from '../../table/engine.ts';
import { Tasks } from '../../table/tasks.ts';
import { MSG, message } from '../../wire/datagram.ts';
import { masterIn, splitReport } from '../../wire/report-parts.ts';
import { HomeKeeper } from './home-keeper.ts';
import { Inbox } from './inbox.ts';
import { KeyRoll } from './key-roll.ts';
import { LiveContext } from './live-context.ts';
import { Outbox } from './outbox.ts';
import type { DriverConfig, DriverPorts } from './ports.ts';
import { TableActions } from './table-actions.ts';

/** Ms until what the kernel refused is tried again (its table may have room by then), first and at most. */
const RETRY_FIRST = 1000;
const RETRY_MOST = 30_000;
/** Messages that may wait for the states before them. */
const MOST_BEHIND = 1024;

export class SyncDriver {
  readonly state: SyncState;
  readonly refused: Record<string, number> = {};
  readonly outbox: Outbox;
  /** The control thread does not turn: its last report is no word of a living node, and is not repeated. */
  controlSilent = false;
  private bulkBytes = 0;
  /** The peer's last answer to `askPeerToAudit`. */
  peerAudit: { at: number; corrections: number; lines: string[] } | null = null;
  private readonly engine: Engine;
  private readonly ports: DriverPorts;
  private readonly inbox: Inbox;
  private readonly repairer: Repairer;
  private readonly tasks: Tasks;
  private readonly homes: HomeKeeper;
  private readonly table: TableActions;
  private readonly keys: DriverConfig['keys'];
  private readonly roll: KeyRoll;
  private answerAt = 0;
  private report: Buffer = Buffer.alloc(0);
  private reportId = 0;
  /** Repeated ten times a second, and nearly always the same. */
  private lastReport: { content: Buffer; masterAny: boolean | null } = { content: Buffer.alloc(0), masterAny: null };
  private claimsSeen = 0;
  /** Messages that follow everything that waits to be told now. */
  private behind: Buffer[] = [];
  private readonly context: LiveContext;
  private readonly tap: Tap | null;
  private retry = { at: Number.POSITIVE_INFINITY, wait: RETRY_FIRST };

  constructor(engine: Engine, config: DriverConfig, ports: DriverPorts) {
    this.engine = engine;
    this.ports = ports;
    this.tasks = new Tasks(() => ports.flushKernel());
    this.context = new LiveContext(engine, () => ports.nonce());
    this.state = createSync(ports.nonce());
    this.homes = new HomeKeeper(engine, this.state);
    this.tap = ports.taps?.tap('sync', () => this.state) ?? null;
    this.keys = config.keys;
    this.roll = new KeyRoll(config.keys, this.state, {
      ask: () => this.outbox.hello(true),
      say: (said) => this.onKeys(said),
    });
    this.outbox = new Outbox(engine, config, this.state, this.roll, (datagram) => ports.transmit(datagram));
    this.repairer = new Repairer(engine, this.state, {
      step: (event) => this.step(event),
      push: (bytes) => this.outbox.push(bytes),
      repaired: (figures) => ports.notice({ kind: 'sync.repaired', ...figures }),
      now: () => this.context.now,
    });
    const { state, outbox, repairer, tasks } = this;
    const step = (event: SyncEvent): void => this.step(event);
    this.table = new TableActions({ engine, state, outbox, repairer, tasks, step, fill: () => this.fill() });
    this.inbox = new Inbox(engine, config, this.state, this.roll, {
      now: () => this.context.now,
      count: (name) => this.count(name),
      step: (event) => this.step(event),
      flushKernel: () => ports.flushKernel(),
      peerReport: (content) => this.onReport(content),
      peerName: (name) => ports.peerName(name),
      bulkEnd: () => this.onBulkEnd(),
      received: (bytes) => this.onRecords(bytes),
      repair: (message, length, adoptSeen) => this.repairer.onMessage(message, length, adoptSeen),
      auditAsked: () => ports.auditAsked(),
      helloAsked: () => this.answerHello(),
      expectation: (content) => ports.expectation?.(content),
      audited: (corrections, lines) => {
        this.peerAudit = { at: this.context.now, corrections, lines };
      },
    });
  }

  receive(datagram: Buffer, now: number): void {
    this.take(datagram, now);
    this.pump();
  }

  /** As `receive`, but nothing is answered before `advance` is called. */
  take(datagram: Buffer, now: number): void {
    this.setNow(now);
    this.inbox.receive(datagram);
  }

  /**
   * Sends on what kernel events have changed, when there is nothing else to think of; then it says when `advance` must be
   * called at the latest. Else null, and nothing was done.
   */
  handOn(now: number): number | null {
    const { state, behind, outbox } = this;
    if (
      this.working() ||
      behind.length > 0 ||
      state.bulkOut !== 'no' ||
      state.late ||
      this.claims() !== this.claimsSeen ||
      !outbox.empty()
    )
      return null;
    this.setNow(now);
    this.fill();
    return this.deadline(now);
  }

  /** Lets time pass and does one slice of what waits in the background; call at `deadline()` at the latest. */
  advance(now: number): void {
    this.setNow(now);
    this.background();
    this.pump();
  }

  /** Background work waits for its next slice. */
  working(): boolean {
    return this.tasks.busy() || this.repairer.busy() || this.homes.busy();
  }

  deadline(now: number): number {
    this.setNow(now);
    if (this.working()) return now;
    return Math.min(this.retry.at, nextSyncDeadline(this.state, this.context));
  }

  /** The table has changed (kernel events, a dump): send what waits. */
  flush(now: number): void {
    this.setNow(now);
    this.pump();
  }

  /** As `flush`, for packets that wait until the peer has what is sent (defer.ts). */
  flushUrgent(now: number): void {
    this.outbox.urgent = true;
    this.flush(now);
    this.outbox.urgent = false;
  }

  setRole(masterAny: boolean, report: Buffer, now: number): void {
    this.setNow(now);
    this.report = report;
    this.homes.setOwn(report);
    this.step({ type: 'role', masterAny });
    this.pump();
  }

  /** The sync link's device has lost its carrier, or has it again. */
  setCarrier(up: boolean, now: number): void {
    if (this.outbox.muted === !up) return;
    this.setNow(now);
    this.outbox.muted = !up;
    if (up) this.step({ type: 'carrier' });
    this.pump();
  }

  /** The pair's key has been changed. @param secrets the one to use first, then those that are taken too */
  setKeys(secrets: readonly PairSecret[], now: number): void {
    this.setNow(now);
    this.keys.replace(secrets);
    this.inbox.keysChanged();
    this.roll.changed(now);
    this.pump();
  }

  /** Compare as soon as possible, both ways. */
  verify(now: number): void {
    this.setNow(now);
    this.step({ type: 'verify' });
    this.outbox.beat(message(MSG.VERIFY, Buffer.alloc(0)));
    this.pump();
  }

  /** Tells the peer of an expectation, behind all states that wait to be told. False: there are too many already. */
  tellExpectation(content: Buffer): boolean {
    if (!this.state.open || this.behind.length >= MOST_BEHIND) return false;
    this.behind.push(message(MSG.EXPECT, content));
    return true;
  }

  /** Asks the peer to read its kernel again; a lost question is asked again by the caller. */
  askPeerToAudit(now: number): void {
    this.setNow(now);
    this.outbox.beat(message(MSG.VERIFY, Buffer.from([1])));
  }

  auditDone(corrections: number, now: number): void {
    this.setNow(now);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(corrections);
    const lines = packLines(auditLines(this.engine), this.outbox.messageRoom - count.length);
    this.outbox.beat(message(MSG.VERIFIED, Buffer.concat([count, lines])));
  }

  resync(now: number): void {
    this.setNow(now);
    this.step({ type: 'resync' });
    this.step({ type: 'wantResync' });
    this.pump();
  }

  /** Bytes that repairs have cost: full resends received here, and repairs by difference of what is mirrored here. */
  get repairBytes(): number {
    return this.bulkBytes + this.repairer.bytes;
  }

  /** This node's own table is being read again. */
  set unsure(unsure: boolean) {
    this.context.counts.unsure = unsure;
  }

  get received(): { datagrams: number; bytes: number } {
    return { datagrams: this.inbox.received, bytes: this.inbox.receivedBytes };
  }

  inStep(now: number): InStep {
    return inStep(this.state, now, this.context.counts);
  }

  /** Always as they are when they are read. */
  counts(): Counts {
    return this.context.counts;
  }

  // A state that this kernel lacks, mirrored or adopted, is told to both nodes as "not in step"; nobody else would try again.
  private retryRefused(): void {
    const { retry } = this;
    if (this.counts().missing === 0) {
      this.retry = { at: Number.POSITIVE_INFINITY, wait: RETRY_FIRST };
    } else if (retry.at === Number.POSITIVE_INFINITY) {
      retry.at = this.context.now + retry.wait;
    } else if (this.context.now >= retry.at) {
      retry.wait = Math.min(RETRY_MOST, retry.wait * 2);
      retry.at = this.context.now + retry.wait;
      this.table.sweep();
    }
  }

  private background(): void {
    this.retryRefused();
    this.tasks.work();
    this.homes.work(this.context.now);
    this.repairer.work();
    this.ports.flushKernel();
  }

  count(name: string): void {
    this.refused[name] = (this.refused[name] ?? 0) + 1;
  }

  private setNow(now: number): void {
    this.context.now = now;
    this.outbox.now = now;
  }

  private step(event: SyncEvent): void {
    const actions = stepSync(this.state, event, this.context);
    if (this.tap !== null) this.tap.after(this.tap.before({ event, context: this.context.taken() }), actions);
    for (const action of actions) this.perform(action);
  }

  private fill(): void {
    while (this.outbox.fill()) this.step({ type: 'sent' });
  }

  private pump(): void {
    this.noteClaims();
    this.fill();
    this.sendBehind();
    this.sendRepairs();
    if (this.engine.dirtyCount() === 0 && this.outbox.empty()) {
      if (this.state.bulkOut === 'running' && this.engine.bulkActive() === 0) {
        this.step({ type: 'bulkSent' });
        this.outbox.push(message(MSG.BULK_END, Buffer.alloc(0)));
        this.fill();
      }
      if (this.state.late) this.step({ type: 'drained' });
    }
    this.step({ type: 'tick' });
    const [send, receive] = [this.outbox.under, this.inbox.under];
    this.roll.work(this.context.now, send === null || receive === null ? null : { send, receive });
  }

  private onKeys(notice: KeyNotice): void {
    // What still runs under the key that is refused now ends with it.
    if (notice.state === 'expired') this.step({ type: 'renew' });
    this.ports.notice({ kind: 'sync.key', ...notice });
  }

  // A recording of such a question must not make this node send more than now and then.
  private answerHello(): void {
    if (this.context.now < this.answerAt) return;
    this.answerAt = this.context.now + TIMING.helloReply;
    this.outbox.hello();
  }

  private sendBehind(): void {
    while (this.behind.length > 0 && this.engine.dirtyCount() === 0 && this.outbox.empty()) {
      for (const bytes of this.behind.splice(0, 64)) this.outbox.push(bytes);
      this.fill();
    }
  }

  // Symbols and ids leave half of the window to the states.
  private sendRepairs(): void {
    while (this.outbox.empty() && ((this.state.txSeq - this.state.txAcked) | 0) < LIMITS.window / 2) {
      const next = this.repairer.nextMessage(this.outbox.messageRoom);
      if (next === null) return;
      this.outbox.push(next);
      this.fill();
    }
  }

  // A state that changed hands here by traffic, or in a conflict: until the peer knows, its digest speaks of another set.
  private noteClaims(): void {
    const claims = this.claims();
    if (claims === this.claimsSeen) return;
    this.claimsSeen = claims;
    this.step({ type: 'late' });
  }

  private claims(): number {
    return this.engine.counter('claims') + this.engine.counter('conflicts');
  }

  private onReport(content: Buffer): void {
    if (!content.equals(this.lastReport.content)) this.lastReport = { content, masterAny: masterIn(content) };
    this.homes.setPeer(this.lastReport.content);
    const { masterAny } = this.lastReport;
    if (masterAny === null) {
      this.count('bad_report');
      return;
    }
    if (this.state.peerMasterAny !== masterAny) this.step({ type: 'report', masterAny });
    this.ports.peerReport(content);
  }

  private onBulkEnd(): void {
    if (this.state.bulkIn) this.table.endBulk();
  }

  private onRecords(bytes: number): void {
    if (this.state.bulkIn) this.bulkBytes += bytes;
    else this.repairer.onRecords(bytes);
  }

  private perform(action: SyncAction): void {
    switch (action.type) {
      case 'sendHello':
        this.outbox.hello();
        break;
      case 'openSession':
        this.onSession();
        break;
      case 'closeSession':
        this.outbox.close();
        this.inbox.close();
        this.behind = [];
        this.repairer.reset(Buffer.alloc(16));
        this.tasks.end('bulkEnd');
        break;
      case 'apply':
        this.inbox.apply();
        break;
      case 'hold':
        this.inbox.hold();
        break;
      case 'resend':
        this.outbox.resend(action.from, action.to);
        break;
      case 'sendBeat':
        this.beat(action.report && !this.controlSilent);
        break;
      case 'refuse':
        this.count(action.cause);
        break;
      case 'event':
        this.ports.notice(noticeOf(action.event));
        break;
      default:
        this.table.perform(action);
    }
  }

  // Acknowledgements under load are many, and nobody needs the report with each of them.
  private beat(withReport: boolean): void {
    if (!withReport) {
      this.outbox.beat(Buffer.alloc(0));
      return;
    }
    this.reportId = (this.reportId + 1) & 0xff;
    for (const part of splitReport(this.report, this.outbox.messageRoom, this.reportId)) this.outbox.beat(part);
  }

  // The fingerprints' key is the session's: sums of two sessions, or of two pairs, never mean anything to each other.
  private onSession(): void {
    this.tasks.end('bulkEnd');
    const secret = this.inbox.sessionSecret();
    this.inbox.openSession(secret);
    const key = this.outbox.openSession(secret);
    this.engine.setFingerprintKey(key);
    this.repairer.reset(key);
  }
}

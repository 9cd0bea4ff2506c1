/**
 * Carries out what the session machine decides, in the `carpio` dialect. Deterministic and without I/O of its own:
 * link, kernel, clock and entropy come through `DriverPorts`, so that the simulator runs this very file.
 *
 * What the peer sends comes in by arrivals.ts, what leaves goes out by departures.ts; link-actions.ts and
 * table-actions.ts do what the machine decides.
 */
import type { Tap } from '../../../contract/tap.ts';
import { Repairer } from '../../repair/runner.ts';
import type { PairSecret } from '../../seal/pair-keys.ts';
import type { InStep } from '../../session/in-step.ts';
import { inStep } from '../../session/in-step.ts';
import { nextSyncDeadline, stepSync } from '../../session/machine.ts';
import type { Counts, SyncAction, SyncEvent, SyncState } from '../../session/state.ts';
import { createSync, TIMING } from '../../session/state.ts';
import { auditLines, packLines } from '../../table/audit-lines.ts';
import type { Engine } from '../../table/engine.ts';
import { Tasks } from '../../table/tasks.ts';
import { MSG, message } from '../../wire/datagram.ts';
import { Applier } from './applier.ts';
import { Arrivals } from './arrivals.ts';
import { Departures } from './departures.ts';
import { HomeKeeper } from './home-keeper.ts';
import { Inbox } from './inbox.ts';
import { KeyRoll } from './key-roll.ts';
import { type KeyVerdict, keyReason } from './key-words.ts';
import { LinkActions } from './link-actions.ts';
import { LiveContext } from './live-context.ts';
import { Outbox } from './outbox.ts';
import { OwedAnswers } from './owed-answers.ts';
import type { DriverConfig, DriverPorts } from './ports.ts';
import { RefusedRetry } from './refused-retry.ts';
import { Reports } from './reports.ts';
import { TableActions } from './table-actions.ts';

export class SyncDriver {
  readonly state: SyncState;
  readonly refused: Record<string, number> = {};
  readonly outbox: Outbox;
  /** The control thread does not turn: its last report is no word of a living node, and is not repeated. */
  controlSilent = false;
  /** The peer's last answer to `askPeerToAudit`. */
  peerAudit: { at: number; corrections: number; lines: string[] } | null = null;
  private readonly engine: Engine;
  private readonly ports: DriverPorts;
  private readonly config: DriverConfig;
  private readonly context: LiveContext;
  private readonly tap: Tap | null;
  private readonly roll: KeyRoll;
  private readonly inbox: Inbox;
  private readonly arrivals: Arrivals;
  private readonly departures: Departures;
  private readonly reports: Reports;
  private readonly repairer: Repairer;
  private readonly table: TableActions;
  private readonly link: LinkActions;
  private readonly tasks: Tasks;
  private readonly homes: HomeKeeper;
  private readonly retry = new RefusedRetry();
  private readonly answers = new OwedAnswers();
  private bulkBytes = 0;
  /** Before this moment no HELLO is answered that asks for one, ms. */
  private answerAt = 0;

  constructor(engine: Engine, config: DriverConfig, ports: DriverPorts) {
    this.engine = engine;
    this.config = config;
    this.ports = ports;
    this.tasks = new Tasks(() => ports.flushKernel());
    this.context = new LiveContext(engine, () => ports.nonce());
    this.state = createSync(ports.nonce());
    this.homes = new HomeKeeper(engine, this.state);
    this.tap = ports.taps?.tap('sync', () => this.state) ?? null;
    this.roll = new KeyRoll(config.keys, this.state, {
      ask: () => this.outbox.hello(true),
      say: (verdict) => this.onKeys(verdict),
    });
    const { state, tasks } = this;
    const step = (event: SyncEvent): void => this.step(event);
    this.outbox = new Outbox(engine, config, state, this.roll, (datagram) => ports.transmit(datagram));
    const { outbox } = this;
    this.repairer = new Repairer(engine, state, {
      step,
      push: (bytes) => outbox.push(bytes),
      repaired: (figures) => ports.notice({ kind: 'sync.repaired', ...figures }),
      now: () => this.context.now,
    });
    const { repairer } = this;
    this.departures = new Departures({ engine, state, outbox, repairer, step });
    this.table = new TableActions({ engine, state, outbox, repairer, tasks, step, fill: () => this.departures.fill() });
    this.reports = new Reports(outbox, this.homes);
    this.inbox = new Inbox(config, state, this.roll);
    this.link = this.makeLink();
    this.arrivals = this.makeArrivals(step);
  }

  private makeLink(): LinkActions {
    const { engine, inbox, outbox, departures, reports, repairer, tasks, ports } = this;
    return new LinkActions({
      engine,
      inbox,
      outbox,
      departures,
      reports,
      repairer,
      tasks,
      controlTurns: () => !this.controlSilent,
      count: (name) => this.count(name),
      notice: (notice) => ports.notice(notice),
    });
  }

  private makeArrivals(step: (event: SyncEvent) => void): Arrivals {
    const { engine, state, ports, inbox, roll, repairer } = this;
    const count = (name: string): void => this.count(name);
    const applier = new Applier(engine, state, {
      step,
      count,
      flushKernel: () => ports.flushKernel(),
      repair: (repair, length, adoptSeen) => repairer.onMessage(repair, length, adoptSeen),
      bulkEnd: () => this.onBulkEnd(),
      updated: (bytes) => this.onUpdates(bytes),
      expectation: (content) => ports.expectation?.(content),
      peerReport: (content) => this.onReport(content),
      auditAsked: () => ports.auditAsked(),
      audited: (corrections, lines) => {
        this.peerAudit = { at: this.context.now, corrections, lines };
      },
    });
    return new Arrivals({
      name: this.config.name,
      state,
      inbox,
      applier,
      roll,
      decide: (event) => this.decide(event),
      perform: (action) => this.perform(action),
      step,
      count,
      peerName: (name) => ports.peerName(name),
      helloAsked: () => this.answerHello(),
    });
  }

  receive(datagram: Buffer, now: number): void {
    this.take(datagram, now);
    this.pump();
  }

  /** As `receive`, but nothing is answered before `advance` is called. */
  take(datagram: Buffer, now: number): void {
    this.setNow(now);
    this.arrivals.take(datagram, now);
  }

  /**
   * Sends on what kernel events have changed, when nothing else is due; then it returns when `advance` must be called
   * at the latest. Else null, and nothing was done.
   */
  handOn(now: number): number | null {
    if (this.working() || !this.departures.idle()) return null;
    this.setNow(now);
    this.departures.fill();
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
    return Math.min(this.retry.at, this.answers.at, nextSyncDeadline(this.state, this.context));
  }

  /** The table has changed (kernel events, a dump): send what waits. */
  flush(now: number): void {
    this.setNow(now);
    this.pump();
  }

  /** As `flush`, for packets that wait until the peer has what is sent (worker/defer.ts). */
  flushUrgent(now: number): void {
    this.outbox.urgent = true;
    this.flush(now);
    this.outbox.urgent = false;
  }

  setRole(masterAny: boolean, report: Buffer, now: number): void {
    this.setNow(now);
    this.reports.setOwn(report);
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
    this.config.keys.replace(secrets);
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

  /** Sends an expectation to the peer, behind all states that wait to be sent. False: too many wait already. */
  sendExpectation(content: Buffer): boolean {
    return this.state.open && this.departures.follow(message(MSG.EXPECT, content));
  }

  /** Asks the peer to read its kernel again. Whoever asks must ask again when the question is lost. */
  askPeerToAudit(now: number): void {
    this.setNow(now);
    this.outbox.beat(message(MSG.VERIFY, Buffer.from([1])));
  }

  /** Answers the peer's question. */
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
    return { datagrams: this.inbox.datagrams, bytes: this.inbox.bytes };
  }

  inStep(now: number): InStep {
    return inStep(this.state, now, this.context.counts);
  }

  /** Always as they are when they are read. */
  counts(): Counts {
    return this.context.counts;
  }

  count(name: string): void {
    this.refused[name] = (this.refused[name] ?? 0) + 1;
  }

  private setNow(now: number): void {
    this.context.now = now;
    this.outbox.now = now;
    this.engine.setNow(now);
  }

  private background(): void {
    const { now } = this.context;
    const refused = this.retry.due(this.counts().missing, now);
    if (this.answers.due(this.engine.owedAnswers(), now) || refused) this.table.sweep();
    this.tasks.work();
    this.homes.work(now);
    this.repairer.work();
    this.ports.flushKernel();
  }

  private pump(): void {
    this.departures.pump();
    this.step({ type: 'tick' });
    const [send, receive] = [this.outbox.under, this.inbox.under];
    this.roll.work(this.context.now, send === null || receive === null ? null : { send, receive });
  }

  private step(event: SyncEvent): void {
    for (const action of this.decide(event)) this.perform(action);
  }

  private decide(event: SyncEvent): SyncAction[] {
    const actions = stepSync(this.state, event, this.context);
    if (this.tap !== null) this.tap.after(this.tap.before({ event, context: this.context.taken() }), actions);
    return actions;
  }

  private perform(action: SyncAction): void {
    switch (action.type) {
      case 'apply':
      case 'hold':
        // The verdict on a datagram: carried out where the datagram is (arrivals.ts).
        break;
      case 'sendHello':
      case 'openSession':
      case 'closeSession':
      case 'resend':
      case 'sendBeat':
      case 'refuse':
      case 'event':
        this.link.perform(action);
        break;
      default:
        this.table.perform(action);
    }
  }

  private onKeys(verdict: KeyVerdict): void {
    // What still runs under the key that is refused from now on ends with it.
    if (verdict.state === 'expired') this.step({ type: 'renew' });
    this.ports.notice({ kind: 'sync.key', state: verdict.state, reason: keyReason(verdict) });
  }

  /** A recording of such a question must not make this node send more than now and then. */
  private answerHello(): void {
    if (this.context.now < this.answerAt) return;
    this.answerAt = this.context.now + TIMING.helloReply;
    this.outbox.hello();
  }

  private onReport(content: Buffer): void {
    const masterAny = this.reports.take(content);
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

  private onUpdates(bytes: number): void {
    if (this.state.bulkIn) this.bulkBytes += bytes;
    else this.repairer.onUpdates(bytes);
  }
}

/** The dataplane loop (worker.ts turns it), pass by pass: kernel events in, datagrams in, changes out. */

import { SyncDriver } from '../dialect/carpio/runner.ts';
import { PairKeys } from '../seal/pair-keys.ts';
import type { Engine } from '../table/engine.ts';
import { loadEngine } from '../table/engine.ts';
import { StatesLister } from '../table/states-lister.ts';
import { Audit } from './audit.ts';
import { AuditForPeer } from './audit-for-peer.ts';
import type { DataplaneHost, DataplaneIo } from './dataplane-io.ts';
import { Defer } from './defer.ts';
import { ExpectationRules } from './expectation-rules.ts';
import { ExpectationSync } from './expectations.ts';
import { FigureReporter } from './figures.ts';
import { KernelIntake } from './kernel-intake.ts';
import { KERNEL_HOST } from './kernel-io.ts';
import { KernelWriter } from './kernel-writer.ts';
import { LinkInlet } from './link-inlet.ts';
import type { FromWorker, ToWorker, WorkerConfig, WorkerData } from './messages.ts';
import { STAT } from './messages.ts';
import { Slices } from './slices.ts';
import { WorkerTaps } from './taps.ts';
import { Verifier } from './verifier.ts';

/** Under load a whole pass is made this often, for counters and all the rest; between them events are handed on. */
const WHOLE_MS = 10;
/** An idle pass still writes the counters. */
const IDLE_MS = 100;
/** The control thread looks at its clock every 50 ms. */
const CONTROL_SILENT_MS = 200;
/** A peer that has sent no state for so long sends nothing but acknowledgements. */
const QUIET_MS = 50;
/** A loaded peer sends this often (PACE_MS in kernel-io.ts, and a little). */
const SOON_MS = 3;
/** As pfsync's. */
const DEFER_MS = 20;
/** Datagrams that the device refuses for their size are reported at most this often. */
const TOO_LONG_EVERY_MS = 10_000;

export class Dataplane {
  readonly wakeFd: number;
  private readonly post: (message: FromWorker) => void;
  private readonly config: WorkerConfig;
  private readonly engine: Engine;
  private readonly host: DataplaneHost;
  private readonly io: DataplaneIo;
  private readonly driver: SyncDriver;
  private readonly audit: Audit;
  private readonly writer: KernelWriter;
  private readonly verifier: Verifier;
  private readonly lister: StatesLister;
  private readonly expectations: ExpectationSync | null;
  private readonly defer: Defer | null;
  private readonly stats: Float64Array;
  private readonly taps: WorkerTaps | null;
  private readonly intake: KernelIntake;
  private readonly reporter: FigureReporter;
  private readonly slices: Slices;
  /** Taken in the last pass. */
  private events = 0;
  /** When the next pass must begin at the latest, ms. */
  private dueAt = Number.NEGATIVE_INFINITY;
  /** The first pass from then on is a whole one, ms. */
  private wholeAt = Number.NEGATIVE_INFINITY;
  /** When a datagram that was too long was reported last, ms. */
  private tooLongAt = Number.NEGATIVE_INFINITY;
  private readonly inlet: LinkInlet;
  private readonly auditForPeer: AuditForPeer;
  private readonly expectationRules: ExpectationRules;

  /** @throws Error naming what the kernel or the machine lacks */
  constructor(data: WorkerData, post: (message: FromWorker) => void, host: DataplaneHost = KERNEL_HOST) {
    const { config } = data;
    this.post = post;
    this.config = config;
    this.stats = new Float64Array(data.counters);
    this.engine = loadEngine(data.wasm, {
      maxStates: config.maxStates,
      syncWhen: config.syncWhen,
      indexKey: host.random(16),
      ignore: config.ignore,
      local: config.local,
      accept: config.accept ?? null,
      timeouts: config.timeouts,
    });
    this.engine.reserve(config.maxStates);
    this.host = host;
    this.io = host.open(config, this.engine);
    this.engine.setOwnPort(this.io.controlPort);
    this.wakeFd = this.io.wakeFd;
    const secrets = config.secrets.map((secret) => Buffer.from(secret));
    const keys = new PairKeys(secrets.length > 0 ? secrets : [null]);
    this.taps = config.recording === true ? this.makeTaps() : null;
    this.driver = this.makeDriver(keys);
    this.inlet = new LinkInlet(this.engine, this.io, this.driver, config.peer);
    this.expectationRules = new ExpectationRules(config.accept ?? null, config.local);
    this.expectations = this.makeExpectations();
    this.defer = this.makeDefer();
    this.audit = new Audit(this.engine, {
      requestDump: (sequence) => this.io.requestDump(sequence),
      unsure: (unsure) => {
        this.driver.unsure = unsure;
      },
    });
    this.auditForPeer = new AuditForPeer(this.audit, {
      answer: (corrections, now) => this.driver.auditDone(corrections, now),
    });
    this.slices = new Slices(this.stats, STAT.slices);
    this.intake = new KernelIntake(this.engine, this.io, this.audit, this.slices, {
      overrun: (overruns) => this.post({ type: 'notice', notice: { kind: 'sync.overrun', overruns } }),
      now: () => this.now(),
    });
    this.writer = this.makeWriter();
    this.verifier = new Verifier(this.driver, this.engine, this.audit, post);
    this.reporter = new FigureReporter(this.driver, this.engine, this.stats, post);
    this.lister = new StatesLister(this.engine);
    this.audit.begin('start', this.now());
  }

  private makeTaps(): WorkerTaps {
    return new WorkerTaps({
      post: (lines, bytes) => this.post({ type: 'recording', lines, bytes }),
      taken: () => this.stats[STAT.recorded] ?? 0,
    });
  }

  private makeDriver(keys: PairKeys): SyncDriver {
    const { name, mtu } = this.config;
    return new SyncDriver(
      this.engine,
      { name, keys, mtu, ...(this.host.aead === undefined ? {} : { aead: this.host.aead }) },
      {
        transmit: (datagram) => this.io.transmit(datagram, this.inlet.peerAddress),
        flushKernel: () => this.writer.flush(),
        nonce: () => this.host.random(16).toString('hex'),
        notice: (notice) => this.post({ type: 'notice', notice }),
        peerReport: (content) => this.post({ type: 'peerReport', report: content.toString('utf8') }),
        peerName: (peer) => this.post({ type: 'peerName', name: peer }),
        auditAsked: () => this.auditForPeer.asked(this.now()),
        taps: this.taps,
        expectation: (content) => this.expectations?.take(content),
      },
    );
  }

  private makeWriter(): KernelWriter {
    return new KernelWriter(this.engine, this.io, {
      blocked: (blocked) => this.audit.blocked(blocked, this.now()),
      lost: () => this.audit.begin('audit', this.now()),
      refused: () => void this.intake.takeEvents(),
      count: (name) => this.driver.count(name),
      now: () => this.now(),
    });
  }

  private makeExpectations(): ExpectationSync | null {
    const { expectations } = this.io;
    if (expectations === undefined) return null;
    return new ExpectationSync(expectations, {
      connection: (message) => this.intake.takeConnection(message),
      send: (content) => this.driver.sendExpectation(content),
      allows: (payload) => this.expectationRules.allows(payload),
      count: (name) => this.driver.count(name),
    });
  }

  private makeDefer(): Defer | null {
    const { defer } = this.io;
    if (defer === undefined) return null;
    if (typeof defer === 'string') {
      this.post({ type: 'notice', notice: { kind: 'sync.defer', on: false, reason: defer } });
      return null;
    }
    const { state, outbox } = this.driver;
    return new Defer(defer, this.config.deferMs ?? DEFER_MS, {
      connection: (message) => this.intake.takeConnection(message),
      takeEvents: () => this.intake.takeEvents(),
      flush: () => this.driver.flushUrgent(this.now()),
      drained: () => this.engine.dirtyCount() === 0 && outbox.empty(),
      stream: () => (state.open && state.alive ? { sent: state.txSeq, acked: state.txAcked } : null),
      count: (name) => this.driver.count(name),
    });
  }

  private stepExpectations(now: number): void {
    const { masterAny, peerNonce } = this.driver.state;
    this.expectations?.step(now, masterAny, peerNonce, () => this.driver.inStep(now).inStep === true);
  }

  /** The device takes less than `[sync] mtu` says: nothing of that size ever arrives, so it is no loss like others. */
  private reportTooLong(now: number): void {
    if (now < this.tooLongAt + TOO_LONG_EVERY_MS) return;
    const bytes = this.io.tooLong?.() ?? 0;
    if (bytes === 0) return;
    this.tooLongAt = now;
    const { device, mtu } = this.config;
    this.post({ type: 'notice', notice: { kind: 'sync.too_long', bytes, mtu, device } });
  }

  /** Sleeps until there is something to do. */
  wait(): void {
    const now = this.now();
    // Deferred packets are let go by an acknowledgement: then none waits.
    const quiet = this.defer === null && now - this.inlet.streamAt > QUIET_MS;
    const left = this.dueAt - now;
    // While the peer's datagrams follow each other the next one comes soon, and an acknowledgement goes with its pass.
    this.io.sleep(this.events, left > 0 && this.inlet.flowing(now, SOON_MS) ? left + SOON_MS : left, quiet);
  }

  /** There may be a command. */
  get called(): boolean {
    return this.io.woken?.() ?? true;
  }

  /** When the next pass must begin at the latest, ms. */
  due(): number {
    return this.dueAt;
  }

  /** Events have just come in batches: the next pass waits for more of them. */
  get loaded(): boolean {
    return this.events > 0;
  }

  command(message: ToWorker): void {
    const now = this.now();
    this.wholeAt = now;
    switch (message.type) {
      case 'role':
        this.driver.setRole(message.masterAny, Buffer.from(message.report), now);
        break;
      case 'local':
        this.engine.setLocal(message.addresses);
        this.expectationRules.setOwn(message.addresses);
        break;
      case 'carrier':
        this.driver.setCarrier(message.up, now);
        break;
      case 'device':
        this.follow(message.ifindex);
        break;
      case 'keys':
        this.driver.setKeys(
          message.secrets.map((secret) => Buffer.from(secret)),
          now,
        );
        break;
      case 'verify':
        this.verifier.begin(message.id, message.deep, now);
        break;
      case 'resync':
        // Both kernels are read again; what the tables differ by then is repaired when the digests are compared.
        this.audit.begin('audit', now);
        this.driver.askPeerToAudit(now);
        this.driver.verify(now);
        break;
      case 'states':
        this.post({ type: 'states', id: message.id, ...this.lister.list(message.cursor, message.most) });
        break;
      case 'snapshot':
        this.taps?.snapshot();
        break;
      case 'stop':
        break;
    }
  }

  private follow(ifindex: number): void {
    try {
      this.io.follow?.(ifindex);
    } catch {
      // The device is gone again: its next life has another index, and comes here again.
    }
  }

  pass(): void {
    const now = this.now();
    this.engine.setNow(now);
    this.events = this.intake.takeEvents();
    const heard = this.inlet.take();
    if (heard === 0 && this.handOn(now)) return;
    this.intake.takeDump();
    this.defer?.step(this.now());
    this.writer.flush();
    const later = this.now();
    this.driver.controlSilent = later - (this.stats[STAT.controlAt] ?? later) > CONTROL_SILENT_MS;
    const working = this.driver.working() || this.audit.closing();
    this.stepAudit(later);
    this.stepExpectations(later);
    this.driver.advance(later);
    if (working) this.slices.add(this.now() - later);
    this.verifier.step(later);
    this.reporter.report(later, this.intake.figures);
    this.reportTooLong(later);
    this.taps?.flush();
    this.wholeAt = later + WHOLE_MS;
    this.dueAt = this.deadline();
  }

  /**
   * A pass in which nothing but events has come, and nothing else is due: they are handed on, and that is all. After a
   * sleep of milliseconds the processor has forgotten this program, so what a pass runs through is what it costs.
   */
  private handOn(now: number): boolean {
    const { audit, engine, writer } = this;
    if (now >= this.wholeAt || now >= this.dueAt || this.defer !== null || !this.io.idle()) return false;
    if (audit.busy() || engine.kernelPending() > 0 || writer.deadline() !== Number.POSITIVE_INFINITY) return false;
    const due = this.driver.handOn(now);
    if (due === null) return false;
    this.dueAt = Math.min(this.dueAt, due);
    return true;
  }

  private deadline(): number {
    const now = this.now();
    const looks = this.expectations?.deadline() ?? Number.POSITIVE_INFINITY;
    const held = this.defer?.deadline() ?? Number.POSITIVE_INFINITY;
    return Math.min(
      this.driver.deadline(now),
      this.audit.deadline(now),
      this.verifier.deadline(),
      this.writer.deadline(),
      this.reporter.deadline(),
      looks,
      held,
      now + IDLE_MS,
    );
  }

  close(): void {
    this.io.close();
  }

  private now(): number {
    return this.io.now();
  }

  /** While an audit lasts no digest is sent, and the peer's have no answer: its end is the time to compare. */
  private stepAudit(now: number): void {
    const { finished } = this.audit;
    this.audit.step(now);
    if (this.audit.finished !== finished) this.driver.verify(now);
    this.auditForPeer.step(now);
  }
}

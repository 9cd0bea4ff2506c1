/** One pass of the dataplane loop after the other: kernel events in, datagrams in, changes out. See worker.ts. */
import { randomBytes } from 'node:crypto';
import { BatchReceiver } from '../kernel/batch.ts';
import type { ConntrackSockets } from '../kernel/conntrack.ts';
import { openConntrack, sendMessages } from '../kernel/conntrack.ts';
import type { Instruction } from '../kernel/event-filter.ts';
import { statusFilter } from '../kernel/event-filter.ts';
import { closeQuietly, libc, Sock } from '../kernel/libc.ts';
import type { SyncSocket } from '../kernel/sync-socket.ts';
import { addressOfName, openSyncSocket, SYNC_GROUP } from '../kernel/sync-socket.ts';
import { Audit } from './audit.ts';
import { SyncDriver } from './driver.ts';
import type { Engine } from './engine.ts';
import { loadEngine } from './engine.ts';
import type { FromWorker, ToWorker, WorkerConfig, WorkerData } from './messages.ts';
import { STAT, workerClock } from './messages.ts';
import { StatesLister } from './states-lister.ts';
import type { LoopFigures } from './teller.ts';
import { Teller } from './teller.ts';
import { Verifier } from './verifier.ts';

/** Batches of one socket that one pass takes at most, so that none starves the others. */
const MOST_BATCHES = 16;
/** Under load a pass begins at most this often: batches cost less than single messages. Microseconds. */
const PACE = 1400;
/** An idle pass still looks after the counters. */
const IDLE = 100;
const IPV4_LEAST = 20;
/** Conntrack status bits (nf_conntrack_common.h). */
const SEEN_REPLY = 0x2;
const ASSURED = 0x4;
/** The control thread looks at its clock every 50 ms. Milliseconds. */
const CONTROL_SILENT = 200;

/** What is not synced yet need not be heard of (asm/filter.ts has the same rule). */
function wantedEvents(when: WorkerConfig['syncWhen']): Instruction[] | null {
  if (when === 'all') return null;
  return statusFilter(when === 'answered' ? SEEN_REPLY : ASSURED);
}

export class Dataplane {
  readonly wakeFd: number;
  private readonly post: (message: FromWorker) => void;
  private readonly config: WorkerConfig;
  private readonly engine: Engine;
  private readonly conntrack: ConntrackSockets;
  private readonly link: SyncSocket;
  private readonly driver: SyncDriver;
  private readonly audit: Audit;
  private readonly verifier: Verifier;
  private readonly lister: StatesLister;
  private readonly stats: Float64Array;
  private readonly events: BatchReceiver;
  private readonly replies: BatchReceiver;
  private readonly datagrams: BatchReceiver;
  private readonly pollSet = Buffer.alloc(4 * 8);
  private peerAddress: string | null;
  private readonly figures: LoopFigures = { overruns: 0, events: 0, created: 0 };
  private readonly teller: Teller;
  private busy = false;
  /** The peer waits for the end of an audit that was begun after this. */
  private auditFor: { finished: number; corrections: number } | null = null;

  /** @throws Error naming what the kernel or the machine lacks */
  constructor(data: WorkerData, post: (message: FromWorker) => void) {
    const { config } = data;
    this.post = post;
    this.config = config;
    this.stats = new Float64Array(data.counters);
    this.engine = loadEngine(data.wasm, {
      maxStates: config.maxStates,
      syncWhen: config.syncWhen,
      indexKey: randomBytes(16),
      ignore: config.ignore,
      local: config.local,
      timeouts: config.timeouts,
    });
    this.peerAddress = config.peer;
    this.conntrack = openConntrack(config.eventBuffer, wantedEvents(config.syncWhen));
    this.engine.setOwnPort(this.conntrack.controlPort);
    this.link = openSyncSocket(config.device, config.ifindex);
    this.wakeFd = libc().eventfd(0, Sock.EFD_NONBLOCK | Sock.EFD_CLOEXEC);
    const { memory, areas } = this.engine;
    this.events = new BatchReceiver(memory, areas.netlink.offset, areas.netlink.slots, areas.netlink.size);
    this.replies = new BatchReceiver(memory, areas.netlink.offset, areas.netlink.slots, areas.netlink.size);
    this.datagrams = new BatchReceiver(memory, areas.datagrams.offset, areas.datagrams.slots, areas.datagrams.size);
    const secret = config.secret === null ? null : Buffer.from(config.secret);
    this.driver = this.makeDriver(secret);
    this.audit = new Audit(this.engine, this.conntrack.dump, (unsure) => {
      this.driver.unsure = unsure;
    });
    this.verifier = new Verifier(this.driver, this.engine, this.audit, post);
    this.teller = new Teller(this.driver, this.engine, this.stats, post);
    this.lister = new StatesLister(this.engine);
    this.fillPollSet();
    this.audit.begin('start', this.now());
  }

  private makeDriver(secret: Buffer | null): SyncDriver {
    const { name, mtu } = this.config;
    return new SyncDriver(
      this.engine,
      { name, secret, mtu },
      {
        transmit: (datagram) => {
          this.link.send(datagram, this.peerAddress ?? SYNC_GROUP);
        },
        flushKernel: () => this.flushKernel(),
        nonce: () => randomBytes(16).toString('hex'),
        event: (kind, fields) => this.post({ type: 'event', kind, fields }),
        peerReport: (content) => this.post({ type: 'peer', name: null, report: content.toString('utf8') }),
        peerName: (peer) => this.post({ type: 'peer', name: peer, report: null }),
        auditAsked: () => this.onAuditAsked(),
      },
    );
  }

  /** Sleeps until there is something to do. */
  wait(): void {
    if (this.busy) libc().usleep(PACE);
    const now = this.now();
    const due = Math.min(this.driver.deadline(now), this.verifier.deadline(), now + IDLE);
    libc().poll(this.pollSet, 4, Math.max(0, Math.ceil(due - now)));
    if (this.pollSet.readUInt16LE(3 * 8 + 6) !== 0) libc().read(this.wakeFd, Buffer.alloc(8), 8);
  }

  command(message: ToWorker): void {
    const now = this.now();
    switch (message.type) {
      case 'role':
        this.driver.setRole(message.masterAny, Buffer.from(message.report), now);
        break;
      case 'local':
        this.engine.setLocal(message.addresses);
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
      case 'stop':
        break;
    }
  }

  pass(): void {
    const now = this.now();
    this.engine.setNow(now);
    const events = this.takeEvents();
    this.takeDump();
    this.takeDatagrams();
    this.flushKernel();
    const later = this.now();
    this.driver.controlSilent = later - (this.stats[STAT.controlAt] ?? later) > CONTROL_SILENT;
    this.audit.step(later);
    this.answerAudit(later);
    this.driver.advance(later);
    this.verifier.step(later);
    // Datagrams of the peer are batches already; only single events are worth waiting for.
    this.busy = events > 0;
    this.teller.tell(later, this.figures);
  }

  close(): void {
    this.conntrack.close();
    this.link.close();
    closeQuietly(this.wakeFd);
  }

  private now(): number {
    return workerClock();
  }

  private fillPollSet(): void {
    const fds = [this.conntrack.events, this.conntrack.dump, this.link.fd, this.wakeFd];
    fds.forEach((fd, i) => {
      this.pollSet.writeInt32LE(fd, i * 8);
      this.pollSet.writeUInt16LE(Sock.POLLIN, i * 8 + 4);
    });
  }

  private onAuditAsked(): void {
    if (this.auditFor !== null) return;
    this.auditFor = { finished: this.audit.finished, corrections: this.audit.corrections };
    this.audit.begin('audit', this.now());
  }

  private answerAudit(now: number): void {
    if (this.auditFor === null || this.audit.busy() || this.audit.finished === this.auditFor.finished) return;
    this.driver.auditDone(this.audit.corrections - this.auditFor.corrections, now);
    this.auditFor = null;
  }

  private takeEvents(): number {
    let taken = 0;
    const before = this.engine.counter('inserts');
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const result = this.events.receive(this.conntrack.events);
      if (result.kind === 'overrun') {
        // What was lost is lost: the table is read again, and until then this node's digest proves nothing.
        this.figures.overruns += 1;
        this.post({ type: 'event', kind: 'sync.overrun', fields: { overruns: this.figures.overruns } });
        this.audit.begin('audit', this.now());
        continue;
      }
      if (result.kind !== 'messages') break;
      for (let i = 0; i < result.count; i++) this.engine.takeEvents(this.events.slotOffset(i), this.events.length(i));
      taken += result.count;
      if (result.count < this.events.slots) break;
    }
    this.figures.created += this.engine.counter('inserts') - before;
    this.figures.events += taken;
    return taken;
  }

  private takeDump(): number {
    if (!this.audit.running()) return 0;
    let taken = 0;
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const result = this.replies.receive(this.conntrack.dump);
      if (result.kind === 'overrun') this.audit.again();
      if (result.kind !== 'messages') break;
      for (let i = 0; i < result.count; i++) this.audit.take(this.replies.slotOffset(i), this.replies.length(i));
      taken += result.count;
    }
    return taken;
  }

  private takeDatagrams(): number {
    let taken = 0;
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const result = this.datagrams.receive(this.link.fd);
      if (result.kind !== 'messages') break;
      for (let i = 0; i < result.count; i++) this.takeDatagram(i);
      taken += result.count;
      if (result.count < this.datagrams.slots) break;
    }
    return taken;
  }

  // A raw IPv4 socket hands over the IP header too (raw(7)).
  private takeDatagram(slot: number): void {
    const length = this.datagrams.length(slot);
    const bytes = Buffer.from(this.engine.memory.buffer, this.datagrams.slotOffset(slot), length);
    const headerLength = length >= IPV4_LEAST ? (bytes.readUInt8(0) & 0x0f) * 4 : 0;
    if (headerLength < IPV4_LEAST || headerLength > length || this.datagrams.truncated(slot)) {
      this.driver.count('bad_length');
      return;
    }
    if (bytes.readUInt8(8) !== 255) {
      this.driver.count('bad_ttl');
      return;
    }
    const from = addressOfName(this.datagrams.name(slot));
    if (this.config.peer !== null && from !== this.config.peer) {
      this.driver.count('bad_source');
      return;
    }
    const before = this.driver.state.peerNonce;
    // Copied out of the module's memory: handling it may make that memory grow, which detaches every view of it.
    this.driver.receive(Buffer.from(bytes.subarray(headerLength)), this.now());
    if (this.config.peer === null && this.driver.state.peerNonce !== before) this.peerAddress = from;
  }

  private flushKernel(): void {
    const { memory, areas } = this.engine;
    while (this.engine.kernelPending() > 0) {
      const length = this.engine.fillKernel();
      if (length === 0) return;
      try {
        sendMessages(this.conntrack.control, memory, areas.kernel.offset, length);
      } catch {
        this.driver.count('kernel_send');
        this.audit.begin('audit', this.now());
        return;
      }
      this.takeReplies();
    }
  }

  private takeReplies(): void {
    for (;;) {
      const result = this.replies.receive(this.conntrack.control);
      if (result.kind === 'overrun') {
        this.driver.count('kernel_overrun');
        this.audit.begin('audit', this.now());
      }
      if (result.kind !== 'messages') return;
      for (let i = 0; i < result.count; i++) this.engine.takeReply(this.replies.slotOffset(i), this.replies.length(i));
    }
  }
}

/** Applies the messages of the peer's datagrams: those of the stream in their order, loose ones as they come. */
import { timingSafeEqual } from 'node:crypto';
import type { SyncEvent, SyncState } from '../../session/state.ts';
import { unpackLines } from '../../table/audit-lines.ts';
import type { Engine } from '../../table/engine.ts';
import type { FastFixed } from '../../wire/datagram.ts';
import { decodeAdopt, decodeDigest, decodeVerdict, MESSAGE_HEADER, MSG } from '../../wire/datagram.ts';
import type { RepairMessage } from '../../wire/repair.ts';
import { decodeRepair } from '../../wire/repair.ts';
import { ReportAssembler } from '../../wire/report-parts.ts';
import { contentOf, type Datagram } from './inbox.ts';

interface ApplierPorts {
  step(event: SyncEvent): void;
  count(name: string): void;
  flushKernel(): void;
  /** A message of a repair, and its length. */
  repair(message: RepairMessage, length: number, adoptSeen: number): void;
  bulkEnd(): void;
  /** Bytes of updates that are being applied. */
  updated(bytes: number): void;
  expectation(content: Buffer): void;
  peerReport(content: Buffer): void;
  auditAsked(): void;
  audited(corrections: number, lines: string[]): void;
}

export class Applier {
  private readonly engine: Engine;
  private readonly state: SyncState;
  private readonly ports: ApplierPorts;
  private readonly reportParts = new ReportAssembler();

  constructor(engine: Engine, state: SyncState, ports: ApplierPorts) {
    this.engine = engine;
    this.state = state;
    this.ports = ports;
  }

  /** The datagram is the next of the stream. */
  apply(datagram: Datagram): void {
    for (const message of datagram.messages) {
      if (message.type < MSG.REPORT) this.applyMessage(datagram.fixed, message.type, contentOf(datagram, message));
    }
    this.ports.flushKernel();
  }

  /** Messages outside the stream: each stands for itself, and the next one makes up for a lost one. */
  takeLoose(datagram: Datagram): void {
    for (const message of datagram.messages) {
      if (message.type >= MSG.REPORT) this.onLoose(message.type, Buffer.from(contentOf(datagram, message)));
    }
  }

  private onLoose(type: number, content: Buffer): void {
    if (type === MSG.REPORT) this.ports.peerReport(content);
    if (type === MSG.REPORT_PART) {
      const whole = this.reportParts.take(content);
      if (whole !== null) this.ports.peerReport(whole);
    }
    if (type === MSG.VERIFIED && content.length >= 4) {
      this.ports.audited(content.readUInt32BE(0), unpackLines(content.subarray(4)));
    }
    if (type === MSG.VERIFY) {
      if (content.length > 0) this.ports.auditAsked();
      else this.ports.step({ type: 'verify' });
    }
  }

  private applyMessage(fixed: FastFixed, type: number, content: Buffer): void {
    switch (type) {
      case MSG.UPDATES:
        this.update(fixed, content);
        break;
      case MSG.DIGEST:
        this.compare(fixed, content);
        break;
      case MSG.ADOPT:
        this.known(decodeAdopt(content), (id) => ({ type: 'adopt', id, crossed: this.crossed(fixed) }));
        break;
      case MSG.VERDICT:
        this.known(decodeVerdict(content), (verdict) => ({ type: 'verdict', verdict }));
        break;
      case MSG.BULK_BEGIN:
        this.ports.step({ type: 'bulkBegin' });
        break;
      case MSG.BULK_END:
        this.ports.bulkEnd();
        break;
      case MSG.RESYNC:
        this.ports.step({ type: 'resync' });
        break;
      case MSG.EXPECT:
        // The connection that it belongs to came before it in the stream, and must be in the kernel.
        this.ports.flushKernel();
        this.ports.expectation(content);
        break;
      default:
        this.onRepair(fixed, type, content);
    }
  }

  /** The peer had not applied this node's last adoption when it sent this. */
  private crossed(fixed: FastFixed): boolean {
    return fixed.adoptSeen !== this.state.adoptId;
  }

  private known<T>(decoded: T | null, event: (decoded: T) => SyncEvent): void {
    if (decoded === null) this.ports.count('bad_message');
    else this.ports.step(event(decoded));
  }

  private update(fixed: FastFixed, content: Buffer): void {
    this.ports.updated(content.length);
    // After a crossed adoption, what the peer calls its own is this node's already.
    if (this.engine.applyUpdates(content, this.crossed(fixed)) < 0) this.ports.count('bad_record');
  }

  private compare(fixed: FastFixed, content: Buffer): void {
    const digest = decodeDigest(content);
    if (digest === null) {
      this.ports.count('bad_message');
      return;
    }
    this.ports.flushKernel();
    const here = this.engine.digest('mirrored');
    const equal = here.count === digest.count && timingSafeEqual(here.sum, digest.sum);
    this.ports.step({ type: 'digest', digest, seq: fixed.seq, adoptSeen: fixed.adoptSeen, equal });
  }

  private onRepair(fixed: FastFixed, type: number, content: Buffer): void {
    if (type < MSG.REPAIR_ASK || type > MSG.REPAIR_END) {
      this.ports.count('unknown_message');
      return;
    }
    // Ids and symbols are kept, and the body is the next datagram's soon.
    const message = decodeRepair(type, Buffer.from(content));
    if (message === null) this.ports.count('bad_message');
    else this.ports.repair(message, content.length + MESSAGE_HEADER, fixed.adoptSeen);
  }
}

/** Carries out what the rules of repair (rules.ts) decide: both directions, in slices. */
import type { Engine } from '../table/engine.ts';
import type { RepairMessage } from '../wire/repair.ts';
import { encodeRepair, REFUSAL } from '../wire/repair.ts';
import { askFor, RepairMirror } from './mirror-runner.ts';
import type { PickLock } from './owner-runner.ts';
import { RepairOwner } from './owner-runner.ts';
import type { RepairAction, RepairEvent, RepairState } from './state.ts';

interface RepairPorts {
  step(event: RepairEvent | { type: 'verify' }): void;
  /** Joins the stream in its order. */
  push(message: Buffer): void;
  /** A repair of what is mirrored here is proven. */
  repaired(figures: { differences: number; bytes: number; ms: number }): void;
  now(): number;
}

type RepairOwnerAction = Extract<
  RepairAction,
  { type: 'refuseRepair' | 'beginRepair' | 'makeSymbols' | 'takeWants' | 'markWants' | 'closeOwner' }
>;

export class Repairer {
  /** Bytes of all repairs of what is mirrored here, in both directions, and of the updates that they brought. */
  bytes = 0;
  private readonly engine: Engine;
  private readonly state: RepairState & { readonly rxSeq: number };
  private readonly ports: RepairPorts;
  private readonly lock: PickLock = { holder: null };
  private key: Buffer = Buffer.alloc(16);
  private ask: Extract<RepairMessage, { type: 'ask' }> | null = null;
  private owner: RepairOwner | null = null;
  private mirror: RepairMirror | null = null;
  private ownerBusy = false;
  private mirrorBusy = false;
  private bytesBefore = 0;

  constructor(engine: Engine, state: RepairState & { readonly rxSeq: number }, ports: RepairPorts) {
    this.engine = engine;
    this.state = state;
    this.ports = ports;
  }

  /** A session begins or ends: no repair outlives it. */
  reset(key: Buffer): void {
    this.closeOwner();
    this.closeMirror();
    this.ask = null;
    this.key = key;
  }

  /** A message of the peer, in its place in the stream. */
  onMessage(message: RepairMessage, length: number, adoptSeen: number): void {
    if (message.type === 'ask') this.ask = message;
    if (message.type === 'begin' || message.type === 'symbols' || message.type === 'refuse') this.bytes += length;
    this.ports.step({ type: 'repairMessage', message, adoptSeen });
  }

  /** Bytes of updates. While a repair of what is mirrored here waits for its proof, they belong to the repair. */
  onUpdates(length: number): void {
    if (this.state.repairIn?.phase === 'proving') this.bytes += length;
  }

  busy(): boolean {
    return this.ownerBusy || this.mirrorBusy;
  }

  /** One slice for each direction. */
  work(): void {
    if (this.ownerBusy && this.owner !== null) this.workOwner(this.owner);
    if (this.mirrorBusy && this.mirror !== null) this.workMirror(this.mirror);
  }

  private workOwner(owner: RepairOwner): void {
    const result = owner.step();
    if (result === 'more') return;
    this.ownerBusy = false;
    if (result === 'marked') this.ports.step({ type: 'repairMarked' });
    if (result !== 'idle') this.closeOwner();
    // Without memory nothing more is sent: the mirror gives up after its patience and asks again.
  }

  private workMirror(mirror: RepairMirror): void {
    const result = mirror.step();
    if (result.type === 'more') return;
    if (result.type !== 'solved') this.mirrorBusy = false;
    if (result.type === 'dry') this.ports.step({ type: 'repairDry' });
    else if (result.type === 'solved') this.ports.step({ type: 'repairSolved', differences: result.differences });
    else if (result.type === 'applied') this.ports.step({ type: 'repairApplied' });
    else if (result.type === 'broken') this.ports.step({ type: 'repairBroken' });
  }

  /** What may join the stream when nothing else waits: symbols and ids, at most `room` bytes of content each. */
  nextMessage(room: number): Buffer | null {
    const want = this.mirror?.nextMessage(room) ?? null;
    if (want !== null) return this.counted(want);
    const symbols = this.owner?.nextMessage(room) ?? null;
    return symbols === null ? null : encodeRepair(symbols);
  }

  private counted(repair: RepairMessage): Buffer {
    const bytes = encodeRepair(repair);
    this.bytes += bytes.length;
    return bytes;
  }

  perform(action: RepairAction): void {
    switch (action.type) {
      case 'askRepair':
        this.bytesBefore = this.bytes;
        this.ports.push(this.counted(askFor(this.engine, action.id)));
        break;
      case 'snapshot':
        this.snapshot(action.begin);
        break;
      case 'takeSymbols':
        this.mirror?.take(action.symbols);
        this.mirrorBusy = this.mirror !== null;
        break;
      case 'askMore':
        this.ports.push(this.counted({ type: 'more', id: action.id, symbols: action.symbols }));
        break;
      case 'applyRepair':
        this.mirror?.apply();
        break;
      case 'endRepair':
        this.ports.push(this.counted({ type: 'end', id: action.id }));
        break;
      case 'closeMirror':
        this.closeMirror();
        break;
      case 'repaired':
        this.repaired(action.differences, action.since);
        break;
      default:
        this.performAsOwner(action);
    }
  }

  private snapshot(begin: Extract<RepairMessage, { type: 'begin' }>): void {
    this.closeMirror();
    try {
      this.mirror = new RepairMirror(this.engine, this.lock, this.key, begin);
      this.mirrorBusy = true;
    } catch {
      this.ports.step({ type: 'repairBroken' });
    }
  }

  private repaired(differences: number, since: number): void {
    this.closeMirror();
    const ms = Math.round(this.ports.now() - since);
    this.ports.repaired({ differences, bytes: this.bytes - this.bytesBefore, ms });
    // This node's last digest reported unclaimed states that have an owner now: send a new one.
    this.ports.step({ type: 'verify' });
  }

  private performAsOwner(action: RepairOwnerAction): void {
    switch (action.type) {
      case 'refuseRepair':
        this.ports.push(encodeRepair({ type: 'refuse', id: action.id, reason: action.reason }));
        break;
      case 'beginRepair':
        this.begin(action.id);
        break;
      case 'makeSymbols':
        this.owner?.makeUpTo(action.to);
        this.ownerBusy = this.owner !== null;
        break;
      case 'takeWants':
        this.owner?.takeWants(action.ids);
        break;
      case 'markWants':
        this.owner?.mark();
        this.ownerBusy = this.owner !== null;
        break;
      case 'closeOwner':
        this.closeOwner();
        break;
    }
  }

  // The rules ask for it only when nothing waits to be sent, so BEGIN describes exactly this point of the stream.
  private begin(id: number): void {
    const { ask } = this;
    if (ask === null || ask.id !== id || this.engine.dirtyCount() > 0) return;
    this.closeOwner();
    try {
      this.owner = new RepairOwner(this.engine, this.lock, this.key, ask, this.state.rxSeq);
    } catch {
      this.ports.push(encodeRepair({ type: 'refuse', id, reason: REFUSAL.memory }));
      this.ports.step({ type: 'repairMarked' });
      return;
    }
    this.ask = null;
    this.ownerBusy = true;
    const { begin } = this.owner;
    this.ports.push(encodeRepair(begin));
    this.ports.step({ type: 'repairBegun', symbols: begin.symbols });
  }

  private closeOwner(): void {
    this.owner?.close();
    this.owner = null;
    this.ownerBusy = false;
  }

  private closeMirror(): void {
    this.mirror?.close();
    this.mirror = null;
    this.mirrorBusy = false;
  }
}

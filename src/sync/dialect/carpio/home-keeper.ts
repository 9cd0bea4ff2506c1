/**
 * While each node is master of something, a state belongs to the master of its virtual address (table/homes.ts). Keeps
 * the table's list of those addresses up to date, and claims states by it, in slices.
 */
import type { SyncState } from '../../session/state.ts';
import type { Engine } from '../../table/engine.ts';
import { type Home, homesOf, vhidsOf } from '../../table/homes.ts';

/** One slice visits so many states. */
const SLICE = 2000;
/** The whole table is walked again this often, for states that came to this node in another way. */
const AGAIN_MS = 5000;

type Vhids = ReturnType<typeof vhidsOf>;

export class HomeKeeper {
  private readonly engine: Engine;
  private readonly state: SyncState;
  private own: { report: Buffer; vhids: Vhids } = { report: Buffer.alloc(0), vhids: { states: {}, lists: {} } };
  private peer = this.own;
  private last: { own: unknown; peer: unknown; shared: boolean } = { own: null, peer: null, shared: false };
  private text = '[]';
  private count = 0;
  private cursor: number | null = null;
  private nextAt = 0;

  constructor(engine: Engine, state: SyncState) {
    this.engine = engine;
    this.state = state;
  }

  /** Reports come twenty times a second, and nearly always the same. */
  setOwn(report: Buffer): void {
    if (!report.equals(this.own.report)) this.own = { report, vhids: vhidsOf(report) };
  }

  setPeer(report: Buffer): void {
    if (!report.equals(this.peer.report)) this.peer = { report, vhids: vhidsOf(report) };
  }

  busy(): boolean {
    return this.cursor !== null;
  }

  /** Does one slice of what there is to do. */
  work(now: number): void {
    this.refresh(now);
    if (this.count === 0) return;
    if (this.cursor === null && now >= this.nextAt) this.cursor = 0;
    if (this.cursor === null) return;
    const next = this.engine.claimHomes(this.cursor, SLICE);
    this.cursor = next;
    if (next === null) this.nextAt = now + AGAIN_MS;
  }

  private refresh(now: number): void {
    const { masterAny, peerMasterAny, alive } = this.state;
    const shared = masterAny && peerMasterAny === true && alive;
    // Called in every pass of the loop, and nearly always the same.
    const { last, own, peer } = this;
    if (last.own === own && last.peer === peer && last.shared === shared) return;
    this.last = { own, peer, shared };
    // A peer that reports no addresses does not know this rule. If one node alone kept it, states would change their
    // owner for ever.
    const known = Object.keys(this.peer.vhids.lists).length > 0;
    const homes: Home[] = shared && known ? homesOf(this.own.vhids, this.peer.vhids) : [];
    const text = JSON.stringify(homes.map(({ bytes, prefix, own }) => [...bytes, prefix, own]));
    if (text === this.text) return;
    this.text = text;
    this.count = homes.length;
    this.engine.setHomes(homes);
    this.cursor = null;
    this.nextAt = now;
  }
}

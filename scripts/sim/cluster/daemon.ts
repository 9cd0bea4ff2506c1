/**
 * One life of the daemon on a simulated box: the production control thread (election, standing, what it believes of its
 * peer) and the production dataplane loop, connected as src/node/node.ts connects them.
 */

import { readFileSync } from 'node:fs';
import { groupConfig, hasCarrier, linkStates } from '../../../src/carp/group-config.ts';
import type { RoleAction, SendAdvertAction } from '../../../src/carp/runner.ts';
import { Election } from '../../../src/carp/runner.ts';
import type { ArrivedAdvert, GroupEvent } from '../../../src/carp/types.ts';
import type { ResolvedVip } from '../../../src/config/resolve.ts';
import type { Config } from '../../../src/config/types.ts';
import { masterDownUs } from '../../../src/contract/carp-timers.ts';
import type { PeerDead } from '../../../src/contract/causes.ts';
import type { Clock } from '../../../src/contract/clock.ts';
import { roleOfKey, type VhidKey, vhidKey } from '../../../src/contract/vhid-key.ts';
import { causeText } from '../../../src/contract/words.ts';
import { type GateOrder, Gates } from '../../../src/gate/runner.ts';
import type { LinkInfo } from '../../../src/kernel/links.ts';
import { ownAddresses } from '../../../src/liveness/early-take-over.ts';
import { PeerEar } from '../../../src/liveness/peer-ear.ts';
import { readReport } from '../../../src/liveness/peer-report.ts';
import { Standing } from '../../../src/node/standing.ts';
import type { SyncDriver } from '../../../src/sync/dialect/carpio/runner.ts';
import { TIMEOUT_SYSCTLS } from '../../../src/sync/table/timeouts.ts';
import { Dataplane } from '../../../src/sync/worker/dataplane.ts';
import type { FromWorker, ToWorker, WorkerConfig } from '../../../src/sync/worker/messages.ts';
import { STAT, STAT_COUNT } from '../../../src/sync/worker/messages.ts';
import type { Box } from './box.ts';
import type { Job } from './calendar.ts';
import { cancel } from './calendar.ts';
import { SimIo } from './dataplane-host.ts';
import { inside } from './inside.ts';
import { configOf, linksOf, ownAddress, ROLES, SYNC, vipsOf } from './plan.ts';
import { Work } from './work.ts';

const MODULE = new WebAssembly.Module(readFileSync(new URL('../../../build/engine.bench.wasm', import.meta.url)));
const TIMEOUTS = TIMEOUT_SYSCTLS.map(({ fallback }) => fallback);
/** A loaded loop begins a pass at most this often, us (kernel-io.ts). */
const PACE = 1800;
/** From one thread to the other, us. */
const HOP = 60;

export class Daemon {
  readonly box: Box;
  readonly election: Election;
  readonly standing: Standing;
  readonly ear: PeerEar;
  readonly gates: Gates;
  readonly clock: Clock;
  config: Config;
  vips: ResolvedVip[];
  inStep: boolean | null = null;
  reason: string | null = null;
  /** Roles as the actions told them. */
  readonly roles = new Map<VhidKey, string>();
  io: SimIo | null = null;
  private plane: Dataplane | null = null;
  private work: Work | null = null;
  private readonly stats = new Float64Array(STAT_COUNT);
  private readonly commands: ToWorker[] = [];
  private passJob: Job | null = null;
  private lastPassUs = 0;
  private reportText = '';
  private reportRead: ReturnType<typeof readReport> = null;
  /** The node's own clock, us: what happened before, nobody here has seen. */
  readonly bornUs: number;

  constructor(box: Box) {
    this.box = box;
    const { world } = box;
    this.clock = box.makeClock();
    this.bornUs = this.clock.nowUs();
    this.gates = this.makeGates();
    this.vips = vipsOf(world.plan, box.index);
    this.config = configOf(world.plan, box.index, this.vips);
    this.ear = new PeerEar(
      {
        publish: (event) => box.say(event),
        feed: (event) => this.onNeighbour(event),
        unmasked: ({ key, from }, cause) =>
          box.say({ kind: 'carp.refused', counter: 'unmasked', interface: roleOfKey(key), vhid: null, from, cause }),
        vips: () => this.vips,
        look: () => this.election.look(),
        warn: (text) => box.world.note(box, `warning ${text}`),
      },
      this.clock,
      (options) => box.probeSocket(options),
    );
    this.standing = new Standing({
      sync: () => (this.plane === null ? null : { inStep: this.inStep, checkedMs: this.stats[STAT.checkedAt] ?? NaN }),
      group: () => this.election.state,
      wokeUs: () => this.election.wokeUs,
      feed: (event) => this.feed(event),
      tell: (master, report) => this.command({ type: 'role', masterAny: master, report: this.inItsWords(report) }),
      extras: () => ({
        version: '0.1.0',
        own: ownAddresses(this.vips, this.links()),
        lists: Object.fromEntries(this.vips.map((vip) => [vhidKey(vip), vip.addresses])),
        open: this.gates.open,
      }),
    });
    this.election = new Election(
      groupConfig(this.config, this.vips, this.links()),
      {
        role: (action) => this.onRole(action),
        sendAdvert: (action) => this.send(action),
        announce: (key) => this.announce(key),
        event: (event) => box.say(event),
        stopped: (clean, cause) => box.stopped(clean, causeText(cause)),
        letGo: (key) => this.gates.feed({ type: 'role', key, master: false }),
        roles: () => this.report(),
        alive: (now) => {
          this.stats[STAT.controlAt] = now / 1000;
          this.gates.feed({ type: 'look' });
        },
        changed: () => this.onChanged(),
      },
      this.clock,
    );
    this.breakEvents();
  }

  // Also what the election feeds itself passes here.
  private breakEvents(): void {
    const change = this.box.world.bug?.event;
    if (change === undefined) return;
    const enqueue = inside<(event: GroupEvent) => void>(this.election, 'enqueue').bind(this.election);
    Reflect.set(this.election, 'enqueue', (event: GroupEvent) => enqueue(change(this, event)));
  }

  get driver(): SyncDriver | null {
    // The simulator looks into the loop; the daemon never does.
    return this.plane === null ? null : inside<SyncDriver>(this.plane, 'driver');
  }

  /** Age of the older of the two last comparisons, us; NaN: none. */
  checkedAgoUs(): number {
    return this.clock.nowUs() - (this.stats[STAT.checkedAt] ?? Number.NaN) * 1000;
  }

  stat(name: keyof typeof STAT): number {
    return this.stats[STAT[name]] ?? Number.NaN;
  }

  /**
   * Since when the vhid is out of INIT (the node's time), and how long it has to listen by what it was told then, us.
   */
  listening(key: VhidKey): { since: number; forUs: number } {
    return this.up.get(key) ?? { since: Number.NEGATIVE_INFINITY, forUs: 0 };
  }

  private readonly up = new Map<string, { since: number; forUs: number }>();

  /** As CarpioNode.start(). */
  start(maintenance: boolean): void {
    if (this.config.sync !== null) this.startSync();
    this.feedLinks();
    this.ear.onLinks(this.links());
    this.weigh();
    if (maintenance) this.feed({ type: 'maintenance', on: true });
    this.feed({ type: 'start' });
  }

  feed(event: GroupEvent): void {
    this.election.feed(event);
  }

  onAdvert(masked: ArrivedAdvert): void {
    this.election.look();
    this.ear.onAdvert(masked);
  }

  onLinks(): void {
    this.election.look();
    this.feedLinks();
    this.ear.onLinks(this.links());
    if (this.plane === null) return;
    this.command({ type: 'local', addresses: this.locals() });
    this.tellCarrier();
  }

  /** As SyncSide and DataplaneHandle do. */
  private tellCarrier(): void {
    const up = hasCarrier(this.links(), 'sync0');
    if (up !== this.syncCarrier) this.command({ type: 'carrier', up });
    this.syncCarrier = up;
  }

  private syncCarrier = true;

  /** As CarpioNode.reload(). */
  reload(): void {
    this.vips = vipsOf(this.box.world.plan, this.box.index);
    this.config = configOf(this.box.world.plan, this.box.index, this.vips);
    this.feed({ type: 'config', config: groupConfig(this.config, this.vips, this.links()) });
    this.ear.configure(this.config);
    this.feedLinks();
  }

  command(message: ToWorker): void {
    this.commands.push(message);
    this.kick(HOP);
  }

  close(): void {
    this.election.close();
    this.gates.close();
    this.ear.close();
    if (this.passJob !== null) cancel(this.passJob);
    this.passJob = null;
    this.plane?.close();
  }

  /** The dataplane loop shall turn, as soon as its pace allows. */
  kick(us: number): void {
    if (this.plane === null) return;
    const { calendar } = this.box.world;
    const free = this.plane.loaded ? this.lastPassUs + PACE : 0;
    const at = Math.max(calendar.now + us + this.box.lag(), free);
    if (this.passJob?.run != null && this.passJob.at <= at) return;
    if (this.passJob !== null) cancel(this.passJob);
    this.passJob = calendar.at(
      at,
      this.box.bound(() => this.pass(), 'thread'),
    );
  }

  private startSync(): void {
    const { sync } = this.config;
    const { box } = this;
    if (sync === null) return;
    if (sync.key !== null) this.ear.trustPeer([new Uint8Array(sync.key.reveal())], this.config, this.links());
    const config: WorkerConfig = {
      name: this.config.node.name,
      secrets: sync.key === null ? [] : [new Uint8Array(sync.key.reveal())],
      ...{ device: 'sync0', ifindex: 4, peer: sync.peer, mtu: sync.mtu, eventBuffer: sync.event_buffer },
      ...{ syncWhen: sync.sync_when, ignore: [], local: this.locals(), maxStates: sync.max_states, timeouts: TIMEOUTS },
    };
    const data = { wasm: MODULE, config, counters: this.stats.buffer as unknown as SharedArrayBuffer };
    const stats = this.stats;
    this.plane = new Dataplane({ ...data }, (message) => this.fromWorker(message), {
      random: (bytes) => box.world.entropy(bytes),
      open: (_config, engine) => {
        this.io = new SimIo(engine, {
          kernel: box.kernel,
          nowMs: () => this.clock.nowUs() / 1000,
          nowUs: () => box.world.calendar.now,
          peer: ownAddress(SYNC, 1 - box.index),
          transmit: (datagram) => box.transmit(datagram),
          wake: () => this.kick(20),
          later: (us, call) => void box.world.calendar.after(us, box.bound(call, 'thread')),
        });
        return this.io;
      },
    });
    // The loop made its own view of the counters.
    this.shareStats(stats);
    box.world.bug?.patch?.(this);
    this.watchWork();
    this.tellCarrier();
    this.kick(20);
  }

  private watchWork(): void {
    const { io, box } = this;
    if (io === null) return;
    this.work = new Work(
      io.engine,
      () => io.changed,
      (text) => box.world.problem(`${box.name}: ${text}`),
    );
  }

  private shareStats(stats: Float64Array): void {
    if (this.plane === null) return;
    Object.assign(this.plane, { stats });
    Object.assign(inside<object>(this.plane, 'reporter'), { stats });
    stats[STAT.controlAt] = this.clock.nowUs() / 1000;
  }

  private pass(): void {
    const { plane } = this;
    if (plane === null) return;
    this.passJob = null;
    this.lastPassUs = this.box.world.calendar.now;
    for (const message of this.commands.splice(0)) {
      if (message.type === 'role') this.box.world.watch.takeOver(this.work, () => plane.command(message));
      else plane.command(message);
    }
    plane.pass();
    const wait = Math.max(0, plane.due() - this.clock.nowUs() / 1000) * 1000;
    if (this.io?.ready === true || this.commands.length > 0) this.kick(20);
    else this.kick(Math.max(20, Math.ceil(wait)));
  }

  /** As SyncSide and DataplaneHandle: messages of the worker reach the control thread a moment later. */
  private fromWorker(message: FromWorker): void {
    const { calendar } = this.box.world;
    // A message port keeps the order, however slow the machine is.
    this.lastHop = Math.max(this.lastHop, calendar.now + HOP + this.box.lag());
    calendar.at(
      this.lastHop,
      this.box.bound(() => this.onWorker(message), 'socket'),
    );
  }

  private lastHop = 0;

  private onWorker(message: FromWorker): void {
    if (message.type === 'notice') {
      if (message.notice.kind === 'sync.peer' && !message.notice.alive) this.ear.onPeer(null);
      this.box.say(message.notice);
    }
    if (message.type === 'peerReport') {
      // The same text says the same: reading it is the dearest part of a quiet minute.
      if (message.report !== this.reportText) this.reportRead = readReport(message.report);
      this.reportText = message.report;
      if (this.reportRead !== null) {
        this.election.look();
        this.gates.feed({ type: 'peer', open: this.reportRead.open });
        this.ear.onPeer(this.reportRead);
      } else this.box.world.problem(`${this.box.name} cannot read the report of its peer`);
    }
    if (message.type === 'step') {
      this.inStep = message.inStep;
      this.reason = message.reason;
      this.box.say({ kind: 'sync.in_step', in_step: message.inStep, reason: message.reason });
      this.onChanged();
    }
  }

  private onChanged(): void {
    this.weigh();
    this.report();
    this.box.world.afterElection(this);
  }

  private weigh(): void {
    this.standing.weigh(this.config.sync !== null);
  }

  private report(): void {
    this.standing.report();
  }

  private mustListenUs(key: VhidKey): number {
    const config = this.election.state.vhids[key]?.config;
    return config === undefined ? 0 : masterDownUs(config.advbase, config.advskew);
  }

  /** As CarpSide. */
  private makeGates(): Gates {
    const { box } = this;
    const ports = {
      send: (kind: GateOrder, keys: readonly VhidKey[]) => box.gate.send(kind, keys),
      opened: (key: VhidKey, waited: boolean) => {
        if (waited) this.announce(key);
        if (waited) this.report();
      },
      closed: () => {},
      look: () => this.election.look(),
      warn: (text: string) => box.world.problem(`${box.name} warns: ${text}`),
    };
    return new Gates(ports, this.clock);
  }

  /** Why the peer counts as dead, while the election acts on it. */
  dead: PeerDead | null = null;

  private onNeighbour(event: GroupEvent): void {
    this.dead = event.type === 'peerDead' ? event.cause : null;
    if (event.type === 'peerDead') this.gates.feed({ type: 'peerDead' });
    this.feed(event);
    this.dead = null;
  }

  /** What is announced behind a closed gate reaches nobody. */
  private announce(key: VhidKey): void {
    if (this.box.gate.open.has(key)) this.box.world.announced(this.box, key);
  }

  private onRole(action: RoleAction): void {
    const { key, from, to, cause } = action;
    const { vhid = 0, interface: role = '' } = this.election.state.vhids[key]?.config ?? {};
    this.box.say({ kind: 'carp.state', vhid, interface: role, from, to, cause });
    if (from === 'INIT') this.up.set(key, { since: this.clock.nowUs(), forUs: this.mustListenUs(key) });
    this.roles.set(key, to);
    if (to === 'MASTER') this.gates.feed({ type: 'role', key, master: true });
    this.box.world.roleChanged(this, action);
  }

  private send(action: SendAdvertAction): void {
    this.box.sendAdvert(this, action);
    const { key } = action;
    this.box.world.calendar.after(
      HOP,
      this.box.bound(() => {
        const ok = this.box.carrier(roleOfKey(key));
        this.feed({ type: 'sendResult', key, ok });
      }, 'socket'),
    );
  }

  private feedLinks(): void {
    for (const link of linkStates(this.config, this.links())) {
      this.feed({ type: 'link', interface: link.role, up: link.up, present: link.present });
    }
  }

  private links(): LinkInfo[] {
    const down = [...ROLES, SYNC].map((role) => this.box.carrier(role)).join();
    if (down !== this.linksFor)
      this.known = linksOf(this.box.world.plan, this.box.index, (role) => !this.box.carrier(role));
    this.linksFor = down;
    return this.known;
  }

  private known: LinkInfo[] = [];
  private linksFor = '';

  private locals(): string[] {
    return this.links().flatMap((link) => link.addresses.map((one) => one.address));
  }

  /** Invariant 8: what another version's report looks like. */
  private inItsWords(report: string): string {
    const version = this.box.world.plan.version[this.box.index];
    if (version === 'this') return report;
    const { own, lists, open, ...rest } = JSON.parse(report);
    if (version === 'older') return JSON.stringify({ ...rest, own });
    return JSON.stringify({ ...rest, own, lists, open, mood: 'fine', vhidDetails: { 'lan/1': { x: 1 } } });
  }
}

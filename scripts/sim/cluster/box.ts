/**
 * One machine: its power, its kernel (connection table, addresses), its guardian, and the lives of the daemon on it.
 * Time on it may drift, stop and be late.
 */

import type { SendAdvertAction } from '../../../src/carp/runner.ts';
import type { ResolvedVip } from '../../../src/config/resolve.ts';
import { guardLimitUs } from '../../../src/contract/carp-timers.ts';
import type { Clock } from '../../../src/contract/clock.ts';
import type { NodeEvent } from '../../../src/contract/events.ts';
import { roleOfKey, type VhidKey, vhidKey } from '../../../src/contract/vhid-key.ts';
import { tell } from '../../../src/contract/words.ts';
import type { GuardAction, GuardState } from '../../../src/gate/guardian/watchman.ts';
import { createGuard, guardDeadline, stepGuard } from '../../../src/gate/guardian/watchman.ts';
import type { ProbeSocket, ProbeSocketOptions } from '../../../src/liveness/probe/socket.ts';
import { Conntrack } from './conntrack.ts';
import { Daemon } from './daemon.ts';
import { CONTROL_PORT } from './dataplane-host.ts';
import { linkLocal, ownAddress, SYNC } from './plan.ts';
import type { World } from './world.ts';

/** What waits in the sockets of a daemon that does not run. */
const MOST_WAITING = 500;

type Source = 'timer' | 'socket' | 'thread';

export class Box {
  readonly world: World;
  readonly index: number;
  readonly name: string;
  readonly kernel: Conntrack;
  /** Keys of the vhids whose addresses answer here. */
  readonly addresses = new Set<string>();
  powered = false;
  daemon: Daemon | null = null;
  /** Counts the lives of the daemon: what was meant for an earlier one is dropped. */
  life = 0;
  /** The daemon does not run until then, us. */
  pausedUntil = 0;
  pausedSince = 0;
  /** Guardian included. */
  frozen = false;
  /** Its clock stood still while the machine was frozen, us altogether. */
  clockLost = 0;
  slowUs = 0;
  maintenance = false;
  lastStopClean: boolean | null = null;
  private guard: GuardState = createGuard();
  private guardLife = 0;
  private guardAt = 0;
  private lastCounter = 0n;
  private readonly waiting: { source: Source; call: () => void }[] = [];
  private readonly probes = new Map<string, ProbeSocketOptions>();
  private readonly rate: number;

  constructor(world: World, index: number) {
    this.world = world;
    this.index = index;
    this.name = `fw-${'abcd'[index]}`;
    this.rate = 1 + (world.plan.drift[index] ?? 0) / 1e6;
    this.kernel = new Conntrack({
      most: 100_000,
      event: (message) => this.onKernelEvent(message),
      evicted: ({ orig }) => world.traffic.evicted(this, orig),
    });
  }

  // --- time ---

  nowUs(): number {
    const stood = this.frozen && this.clockStands ? this.world.calendar.now - this.pausedSince : 0;
    return Math.floor(1_000_000 + (this.world.calendar.now - this.clockLost - stood) * this.rate);
  }

  private clockStands = false;

  makeClock(): Clock {
    return {
      nowUs: () => this.nowUs(),
      later: (ms, call) => {
        let live = true;
        // Timers fire a little late, as they do on an event loop, and later on a slow machine.
        const wait = (ms * 1000) / this.rate + this.world.random() * 1200 + this.lag();
        this.world.calendar.after(
          wait,
          this.bound(() => live && call(), 'timer'),
        );
        return () => {
          live = false;
        };
      },
    };
  }

  lag(): number {
    return this.slowUs === 0 ? 0 : this.slowUs * this.world.random();
  }

  /** A call that reaches the life of the daemon that it was made for, when it runs. */
  bound(call: () => void, source: Source): () => void {
    const { life } = this;
    const run = (): void => {
      if (life !== this.life || this.daemon === null) return;
      if (this.pausedUntil > this.world.calendar.now) {
        if (source !== 'socket' || this.waiting.length < MOST_WAITING) this.waiting.push({ source, call: run });
        return;
      }
      this.world.guarded(this, call);
    };
    return run;
  }

  get runs(): boolean {
    return this.daemon !== null && this.pausedUntil <= this.world.calendar.now;
  }

  // --- power and processes ---

  boot(): void {
    this.powered = true;
    this.launch();
  }

  launch(): void {
    if (!this.powered || this.daemon !== null) return;
    this.life += 1;
    this.guardLife += 1;
    this.guard = createGuard();
    this.paired = false;
    this.lastStopClean = null;
    this.daemon = new Daemon(this);
    this.world.note(this, 'daemon starts');
    this.world.guarded(this, () => this.daemon?.start(this.maintenance));
  }

  /** kill -9: the guardian hears the end of its pipe. */
  kill(): void {
    if (this.daemon === null) return;
    this.endDaemon();
    this.world.note(this, 'daemon killed');
    const { guardLife } = this;
    if (this.world.bug?.noGuard === true) return;
    this.world.calendar.after(1000 + this.world.random() * 8000, () => {
      if (guardLife !== this.guardLife || !this.powered) return;
      if (!this.frozen) this.guardActs(stepGuard(this.guard, { type: 'end' }, this.nowUs()));
    });
  }

  powerOff(): void {
    this.endDaemon();
    this.powered = false;
    this.guardLife += 1;
    this.addresses.clear();
    this.kernel.wipe();
    this.wipedAt = this.world.calendar.now;
    this.world.wiped(this);
    this.world.note(this, 'power off');
  }

  /** SIGSTOP; `machine`: everything stands still, the guardian too, and with `clock` even time. */
  pause(us: number, machine: boolean, clock: boolean): void {
    if (this.pausedUntil > this.world.calendar.now || this.daemon === null) return;
    this.pausedSince = this.world.calendar.now;
    this.pausedUntil = this.pausedSince + Math.ceil(us);
    this.frozen = machine;
    this.clockStands = clock;
    const until = this.pausedUntil;
    const { life } = this;
    this.world.note(this, `${machine ? 'machine stands' : 'daemon stands'} for ${Math.round(us / 1000)} ms`);
    this.world.calendar.at(until, () => {
      if (life === this.life && this.pausedUntil === until) this.resume();
    });
  }

  private resume(): void {
    const slept = this.world.calendar.now - this.pausedSince;
    if (this.frozen && this.clockStands) {
      this.clockLost += slept;
      this.clockStoodAt = this.world.calendar.now;
    }
    const machine = this.frozen;
    const stood = this.clockStands;
    this.frozen = false;
    this.clockStands = false;
    this.pausedUntil = 0;
    this.world.note(this, 'goes on');
    if (machine) this.tickGuard();
    const waiting = this.waiting.splice(0);
    if (this.daemon !== null && !stood) this.world.woke(this, slept);
    const first: Source = this.world.random() < 0.5 ? 'timer' : 'socket';
    const order = (source: Source): number => (source === first ? 0 : 1);
    for (const { call } of waiting.sort((a, b) => order(a.source) - order(b.source))) call();
  }

  endedAt = Number.NEGATIVE_INFINITY;
  private readonly backAt = new Map<string, number>();
  private clockStoodAt = Number.NEGATIVE_INFINITY;

  carrierIsBack(role: string): void {
    this.backAt.set(role, this.nowUs());
  }

  /** This box's time at which the carrier came back last; null: it never went. */
  carrierBackUs(role: string): number | null {
    return this.backAt.get(role) ?? null;
  }

  /** Its clock stood still: for as long as a comparison counts as fresh it cannot know better. */
  clockStoodLately(): boolean {
    return this.world.calendar.now - this.clockStoodAt < 2_500_000;
  }

  private fellAt = Number.NEGATIVE_INFINITY;
  private wipedAt = Number.NEGATIVE_INFINITY;

  /** The guardian has just taken addresses away; the daemon hears of it in a moment. */
  fellLately(): boolean {
    return this.world.calendar.now - this.fellAt < 2_000_000;
  }

  wipedLately(us: number): boolean {
    return this.world.calendar.now - this.wipedAt < us;
  }

  private endDaemon(): void {
    this.world.traffic.orphaned(this);
    this.daemon?.close();
    this.daemon = null;
    this.endedAt = this.world.calendar.now;
    this.life += 1;
    this.pausedUntil = 0;
    this.frozen = false;
    this.clockStands = false;
    this.waiting.length = 0;
    this.probes.clear();
  }

  /** Calls when the daemon has ended, if it is stopping; a minute is enough for that. */
  ended(call: () => void): void {
    if (this.daemon === null || this.daemon.election.state.stopping === null) call();
    else this.world.calendar.after(100_000, () => this.ended(call));
  }

  /** SIGTERM has been obeyed. */
  stopped(clean: boolean, why: string): void {
    this.world.note(this, `stopped (${clean ? 'clean' : 'not clean'}): ${why}`);
    this.lastStopClean = clean;
    this.guardLife += 1;
    this.addresses.clear();
    this.daemon?.election.close();
    this.world.traffic.orphaned(this);
    const { life } = this;
    this.world.calendar.after(20_000, () => {
      if (this.life === life) this.endDaemon();
    });
  }

  // --- the kernel's sides ---

  carrier(role: string): boolean {
    return !this.world.wires.segment(role).down.has(this.index);
  }

  private onKernelEvent(message: Buffer): void {
    const { daemon } = this;
    if (daemon?.io == null) return;
    // What the daemon writes itself never reaches its event socket (kernel/event-filter.ts): nlmsg_pid names its port.
    if (message.readUInt32LE(12) === CONTROL_PORT) return;
    if (!wanted(message, this.world.plan.syncWhen)) return;
    daemon.io.events.push(message);
    daemon.kick(100);
  }

  transmit(datagram: Buffer): void {
    const peer = this.world.boxes[1 - this.index];
    this.world.wires.send(SYNC, this.index, 1 - this.index, false, () => {
      peer?.bound(() => peer.daemon?.io?.arrive(datagram), 'socket')();
    });
  }

  probeSocket(options: ProbeSocketOptions): ProbeSocket {
    const role = options.device.slice(0, -1);
    const { device, ifindex, family } = options;
    const own = family === 4 ? ownAddress(role, this.index) : linkLocal(role, this.index);
    this.probes.set(`${role} ${own}`, options);
    return {
      ...{ device, ifindex, family },
      send: (bytes, to) => {
        for (const other of this.world.boxes) {
          const there = `${role} ${to}`;
          if (other === this || !other.probes.has(there)) continue;
          this.world.wires.send(role, this.index, other.index, false, () => {
            other.bound(() => other.probes.get(there)?.onPacket(Buffer.from(bytes), own), 'socket')();
          });
        }
        return this.carrier(role);
      },
      close: () => this.probes.delete(`${role} ${own}`),
    };
  }

  setAddress(key: VhidKey, up: boolean): void {
    if (up && this.world.bug?.noAddress !== true) this.addresses.add(key);
    else this.addresses.delete(key);
  }

  /** Keys that the daemon leads while their addresses are gone. */
  lostAddresses(roles: ReadonlyMap<VhidKey, string>): VhidKey[] {
    return [...roles].filter(([key, role]) => role === 'MASTER' && !this.addresses.has(key)).map(([key]) => key);
  }

  sendAdvert(daemon: Daemon, action: SendAdvertAction): void {
    const { world } = this;
    world.advertises(daemon, action);
    const counter = action.bowOut ? daemon.lastCounter : BigInt(Math.floor(world.random() * 2 ** 52));
    this.speak(action.key, { ...action, counter });
  }

  private speak(
    key: VhidKey,
    word: Pick<SendAdvertAction, 'advbase' | 'advskew' | 'demote'> & { counter: bigint } & Partial<
        Pick<SendAdvertAction, 'families'>
      >,
  ): void {
    const { world } = this;
    const role = roleOfKey(key);
    const { advbase, advskew, demote, counter } = word;
    const sentAt = world.calendar.now;
    for (const to of world.boxes) {
      if (to === this) continue;
      for (const family of word.families ?? [4 as const]) {
        const from = family === 4 ? ownAddress(role, this.index) : linkLocal(role, this.index);
        world.wires.send(role, this.index, to.index, true, () => {
          to.bound(() => {
            to.daemon?.onAdvert({ key, family, advert: { advbase, advskew, demote, counter }, from });
            if (family === 4) world.heard(this, to, key, sentAt);
          }, 'socket')();
        });
      }
    }
  }

  // --- the guardian ---

  guardVips(vips: readonly ResolvedVip[]): void {
    this.lastCounter = this.daemon?.lastCounter ?? this.lastCounter;
    for (const vip of vips) {
      const limitUs = guardLimitUs(vip.advbase, vip.advskew, this.paired);
      const key = vhidKey(vip);
      const vhid = { key, limitUs, device: { index: 1, name: key }, addresses: null, lastWords: [] };
      stepGuard(this.guard, { type: 'message', message: { type: 'set', vhid } }, this.nowUs());
    }
  }

  /** As VipSet.setPaired(): the guardian must not be later than a peer that takes over early. */
  setPaired(paired: boolean): void {
    if (paired === this.paired) return;
    this.paired = paired;
    if (this.daemon !== null) this.guardVips(this.daemon.vips);
  }

  private paired = false;

  beat(atUs: number, masters: string[]): void {
    stepGuard(this.guard, { type: 'message', message: { type: 'beat', atUs, masters } }, this.nowUs());
    if (this.guardAt <= this.world.calendar.now) this.armGuard();
  }

  // One job at a time is enough: it looks again when the beats have moved the deadline.
  private armGuard(): void {
    const due = guardDeadline(this.guard);
    if (due === null) return;
    const wait = Math.max(0, due - this.nowUs()) / this.rate + 1000 + this.world.random() * 1000;
    this.guardAt = this.world.calendar.now + wait;
    const { guardLife } = this;
    this.world.calendar.after(wait, () => {
      this.guardAt = 0;
      if (guardLife === this.guardLife && this.powered && !this.frozen) this.tickGuard();
    });
  }

  private tickGuard(): void {
    this.guardActs(stepGuard(this.guard, { type: 'tick' }, this.nowUs()));
    if (this.guardAt <= this.world.calendar.now) this.armGuard();
  }

  private guardActs(actions: readonly GuardAction[]): void {
    if (this.world.bug?.noGuard === true) return;
    let fell = false;
    for (const action of actions) {
      if (action.type === 'clear') this.addresses.clear();
      if (action.type === 'down') {
        fell ||= this.addresses.has(action.vhid.key);
        this.addresses.delete(action.vhid.key);
        if (fell) this.fellAt = this.world.calendar.now;
      }
      if (action.type === 'speak') this.lastWords(action.vhid.key as VhidKey);
      if (action.type === 'fell') {
        this.world.note(this, `guardian takes ${action.keys.join(', ')} down`);
        const { silentUs } = action;
        this.bound(() => this.renew(silentUs), 'socket')();
      }
    }
    if (fell) this.bound(() => this.daemon?.onLinks(), 'socket')();
  }

  private renew(silentUs: number): void {
    if (this.daemon === null) return;
    this.daemon.feed({ type: 'stall', sleptUs: silentUs });
    this.daemon.lastCounter = BigInt(Math.floor(this.world.random() * 2 ** 48));
    this.lastCounter = this.daemon.lastCounter;
    this.guardVips(this.daemon.vips);
  }

  // The guardian speaks what the daemon gave it beforehand.
  private lastWords(key: VhidKey): void {
    this.speak(key, { advbase: 255, advskew: 255, demote: 255, counter: this.lastCounter });
  }

  say(event: NodeEvent): void {
    const { kind, text: _said, cause: _cause, ...fields } = tell(event);
    this.world.note(this, `${kind} ${JSON.stringify(fields)}`);
  }
}

/** The socket filter of event-filter.ts: CTA_STATUS of the message, at its place behind the tuples. */
function wanted(message: Buffer, when: 'all' | 'answered' | 'assured'): boolean {
  if (when === 'all') return true;
  const bits = when === 'answered' ? 0x2 : 0x4;
  for (let at = 20; at + 4 <= message.length; ) {
    const length = message.readUInt16LE(at);
    if ((message.readUInt16LE(at + 2) & 0x3fff) === 3) return (message.readUInt32BE(at + 4) & bits) !== 0;
    at += Math.max(4, (length + 3) & ~3);
  }
  return true;
}

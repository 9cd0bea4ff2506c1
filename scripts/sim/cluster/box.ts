/**
 * One machine: its power, its kernel (connection table, gates), and the lives of the daemon on it.
 * Time on it may drift, stop and be late.
 */

import type { SendAdvertAction } from '../../../src/carp/runner.ts';
import type { Clock } from '../../../src/contract/clock.ts';
import type { NodeEvent } from '../../../src/contract/events.ts';
import { roleOfKey } from '../../../src/contract/vhid-key.ts';
import { tell } from '../../../src/contract/words.ts';
import type { ProbeSocket, ProbeSocketOptions } from '../../../src/liveness/probe/socket.ts';
import { Conntrack } from './conntrack.ts';
import { Daemon } from './daemon.ts';
import { CONTROL_PORT } from './dataplane-host.ts';
import { SimGate } from './kernel-gate.ts';
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
  readonly gate: SimGate;
  powered = false;
  daemon: Daemon | null = null;
  /** Counts the lives of the daemon: what was meant for an earlier one is dropped. */
  life = 0;
  /** The daemon does not run until then, us. */
  pausedUntil = 0;
  pausedSince = 0;
  /** The kernel included. */
  frozen = false;
  /** Its clock stood still while the machine was frozen, us altogether. */
  clockLost = 0;
  slowUs = 0;
  maintenance = false;
  lastStopClean: boolean | null = null;
  private readonly waiting: { source: Source; call: () => void }[] = [];
  private readonly probes = new Map<string, ProbeSocketOptions>();
  private readonly rate: number;

  constructor(world: World, index: number) {
    this.world = world;
    this.index = index;
    this.name = `fw-${'abcd'[index]}`;
    this.rate = 1 + (world.plan.drift[index] ?? 0) / 1e6;
    this.gate = new SimGate(this);
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
    this.lastStopClean = null;
    this.daemon = new Daemon(this);
    this.world.note(this, 'daemon starts');
    this.world.guarded(this, () => this.daemon?.start(this.maintenance));
  }

  /** kill -9: the kernel ends the peer channel's connection at once, and closes the gates a little later. */
  kill(): void {
    if (this.daemon === null) return;
    this.endDaemon();
    this.world.note(this, 'daemon killed');
    const peer = this.world.boxes[1 - this.index];
    if (peer === undefined || !this.world.plan.sync) return;
    this.world.wires.send(SYNC, this.index, peer.index, false, () => {
      peer.bound(() => peer.daemon?.ear.onChannelEnded(), 'socket')();
    });
  }

  powerOff(): void {
    this.endDaemon();
    this.powered = false;
    this.gate.clear();
    this.kernel.wipe();
    this.wipedAt = this.world.calendar.now;
    this.world.wiped(this);
    this.world.note(this, 'power off');
  }

  /** SIGSTOP; `machine`: everything stands still, the kernel too, and with `clock` even time. */
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
    this.wokeAt = this.world.calendar.now;
    const machine = this.frozen;
    const stood = this.clockStands;
    this.frozen = false;
    this.clockStands = false;
    this.pausedUntil = 0;
    this.world.note(this, 'goes on');
    if (machine) this.gate.expire();
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

  private wipedAt = Number.NEGATIVE_INFINITY;

  /** It may have found its gates closed when it went on. */
  wokeLately(): boolean {
    return this.world.calendar.now - this.wokeAt < 2_000_000;
  }

  private wokeAt = Number.NEGATIVE_INFINITY;

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
    this.gate.clear();
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

  sendAdvert(daemon: Daemon, action: SendAdvertAction): void {
    const { world } = this;
    world.advertises(daemon, action);
    const counter = BigInt(Math.floor(world.random() * 2 ** 52));
    const { key, advbase, advskew, demote } = action;
    const role = roleOfKey(key);
    const sentAt = world.calendar.now;
    for (const to of world.boxes) {
      if (to === this) continue;
      for (const family of action.families) {
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

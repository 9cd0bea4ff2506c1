/**
 * What can happen to a cluster: drawn from a seed as plain data, so that a schedule can be printed, shrunk and
 * replayed.
 */
import type { Random } from './calendar.ts';
import type { Plan } from './plan.ts';
import { ROLES, SYNC } from './plan.ts';
import { QUIET_JITTER } from './wires.ts';
import type { World } from './world.ts';

export interface Fault {
  /** Episode it belongs to, and microseconds after that one's begin. */
  episode: number;
  afterUs: number;
  kind: Kind;
  box: number;
  role: string;
  /** How long it lasts, us. */
  forUs: number;
  /** 0..1, what it means stands with each kind. */
  size: number;
}

export const KINDS = [
  'loss',
  'one-way',
  'copies',
  'reorder',
  'slow-link',
  'cut',
  'carrier',
  'flap',
  'no-multicast',
  'sync-cut',
  'sync-carrier',
  'sync-loss',
  'sync-one-way',
  'sync-slow',
  'sync-copies',
  'power',
  'kill',
  'stop',
  'pause',
  'freeze',
  'clock-stop',
  'slow-cpu',
  'overrun',
  'full',
  'deaf-kernel',
  'flush',
  'mirror-damage',
  'reload',
  'maintenance',
  'demote',
  'resync',
  'swap',
] as const;
export type Kind = (typeof KINDS)[number];

/** Kinds that need the sync of states. */
const WITH_SYNC = new Set<Kind>(['overrun', 'full', 'deaf-kernel', 'mirror-damage', 'resync', 'flush']);

export function drawFaults(plan: Plan, random: Random, episodes: number, only: readonly Kind[] | null): Fault[] {
  const kinds = (only ?? KINDS).filter((kind) => plan.sync || !(WITH_SYNC.has(kind) || kind.startsWith('sync-')));
  const faults: Fault[] = [];
  for (let episode = 0; episode < episodes; episode++) {
    const count = random() < 0.45 ? 1 : random() < 0.7 ? 2 : 3;
    for (let i = 0; i < count; i++) {
      const long = random();
      faults.push({
        episode,
        afterUs: Math.floor(random() * 2_500_000),
        kind: kinds[Math.floor(random() * kinds.length)] as Kind,
        box: Math.floor(random() * plan.boxes),
        role: ROLES[Math.floor(random() * ROLES.length)] as string,
        forUs: Math.floor(
          long < 0.4 ? random() * 1_000_000 : long < 0.85 ? random() * 5_000_000 : random() * 12_000_000,
        ),
        size: random(),
      });
    }
  }
  return faults;
}

export function tellFault(fault: Fault): string {
  const { episode, afterUs, kind, box, role, forUs, size } = fault;
  const at = `${(afterUs / 1e6).toFixed(3)} s`;
  return `episode ${episode} + ${at}: ${kind} fw-${'abcd'[box]} ${role} for ${(forUs / 1e6).toFixed(3)} s, size ${size.toFixed(2)}`;
}

/** Begins a fault; what it returns ends it. */
export function begin(world: World, fault: Fault): () => void {
  world.note(null, `FAULT ${tellFault(fault)}`);
  const end = wires(world, fault) ?? machine(world, fault) ?? command(world, fault);
  return () => {
    world.note(null, `end of ${fault.kind} fw-${'abcd'[fault.box]}`);
    end();
  };
}

const nothing = (): void => {};

function wires(world: World, fault: Fault): (() => void) | null {
  const { kind, size, box } = fault;
  const role = kind.startsWith('sync-') ? SYNC : fault.role;
  const segment = world.wires.segment(role);
  const here = world.boxes[box];
  switch (kind) {
    case 'loss':
    case 'sync-loss':
      segment.loss = 0.02 + size * size * 0.7;
      return () => {
        segment.loss = 0;
      };
    case 'copies':
    case 'sync-copies':
      segment.copies = 0.1 + size * 0.6;
      return () => {
        segment.copies = 0;
      };
    case 'reorder':
      segment.jitterUs = 500 + size * 30_000;
      world.wires.segment(SYNC).jitterUs = 500 + size * 30_000;
      return () => {
        segment.jitterUs = QUIET_JITTER;
        world.wires.segment(SYNC).jitterUs = QUIET_JITTER;
      };
    case 'slow-link':
    case 'sync-slow':
      segment.delayUs = 1000 + size * 120_000;
      return () => {
        segment.delayUs = 150;
      };
    case 'one-way':
    case 'sync-one-way': {
      const other = (box + 1) % world.boxes.length;
      segment.deaf.add(`${box}>${other}`);
      return () => void segment.deaf.delete(`${box}>${other}`);
    }
    case 'cut':
    case 'sync-cut':
      segment.cut.add(box);
      return () => void segment.cut.delete(box);
    case 'no-multicast':
      segment.multicast = false;
      return () => {
        segment.multicast = true;
      };
    case 'carrier':
    case 'sync-carrier':
      if (here !== undefined) world.setCarrier(here, role, false);
      return () => here && world.setCarrier(here, role, true);
    case 'flap':
      return flap(world, fault);
    default:
      return null;
  }
}

function flap(world: World, { box, role, size }: Fault): () => void {
  const here = world.boxes[box];
  let live = true;
  const turn = (up: boolean): void => {
    if (!live || here === undefined) return;
    world.setCarrier(here, role, up);
    world.calendar.after(200_000 + size * 700_000, () => turn(!up));
  };
  turn(false);
  return () => {
    live = false;
    if (here !== undefined) world.setCarrier(here, role, true);
  };
}

function machine(world: World, fault: Fault): (() => void) | null {
  const { kind, size, forUs } = fault;
  const box = world.boxes[fault.box];
  if (box === undefined) return nothing;
  switch (kind) {
    case 'power':
      box.powerOff();
      return () => box.boot();
    case 'kill':
      box.kill();
      return () => box.launch();
    case 'stop':
      if (box.runs) box.bound(() => box.daemon?.feed({ type: 'stop' }), 'socket')();
      return () => box.ended(() => box.launch());
    case 'pause':
      box.pause(forUs, false, false);
      return nothing;
    case 'freeze':
      box.pause(forUs, true, false);
      return nothing;
    case 'clock-stop':
      box.pause(forUs, true, true);
      return nothing;
    case 'slow-cpu':
      box.slowUs = 2000 + size * 120_000;
      return () => {
        box.slowUs = 0;
      };
    case 'full': {
      box.kernel.most = Math.floor(box.kernel.entries.size * (0.5 + size * 0.7));
      world.traffic.unpromise(box);
      return () => {
        box.kernel.most = 100_000;
      };
    }
    default:
      return null;
  }
}

function command(world: World, fault: Fault): () => void {
  const { kind, size } = fault;
  const box = world.boxes[fault.box];
  const daemon = box?.daemon;
  if (box === undefined) return nothing;
  const tell = (call: () => void): void => box.bound(call, 'socket')();
  switch (kind) {
    case 'overrun':
      if (daemon?.io != null) daemon.io.events.most = Math.floor(size * 3);
      return () => {
        if (daemon?.io != null) daemon.io.events.most = 20_000;
      };
    case 'deaf-kernel':
      if (daemon?.io != null) daemon.io.deaf = true;
      return () => {
        if (daemon?.io != null) daemon.io.deaf = false;
      };
    case 'flush': {
      const now = world.calendar.now;
      world.traffic.flushed(box);
      for (const entry of [...box.kernel.entries.values()]) box.kernel.drop(entry, now);
      return nothing;
    }
    case 'mirror-damage': {
      // Somebody deletes entries by hand on the box that does not forward.
      const now = world.calendar.now;
      const idle = world.boxes.find((one) => one.gate.open.size === 0 && one.daemon?.driver?.counts().own === 0);
      for (const entry of [...(idle?.kernel.entries.values() ?? [])]) {
        if (world.random() >= size * 0.5) continue;
        idle?.kernel.drop(entry, now);
        // Nothing can put it back while that kernel takes no changes; whatever "in step" says later counts again.
        if (idle?.daemon?.io?.deaf === true) world.traffic.unpromise(idle, entry.orig);
      }
      return nothing;
    }
    case 'reload': {
      const old = { ...world.plan };
      if (size < 0.5) world.plan.preempt = !world.plan.preempt;
      else for (const couple of world.plan.couples) couple.lead = (couple.lead + 1) % world.plan.boxes;
      for (const one of world.boxes) one.bound(() => one.daemon?.reload(), 'socket')();
      return () => {
        world.plan.preempt = old.preempt;
        for (const one of world.boxes) one.bound(() => one.daemon?.reload(), 'socket')();
      };
    }
    case 'maintenance':
      box.maintenance = true;
      tell(() => daemon?.feed({ type: 'maintenance', on: true }));
      return () => {
        box.maintenance = false;
        box.bound(() => box.daemon?.feed({ type: 'maintenance', on: false }), 'socket')();
      };
    case 'demote':
      tell(() => daemon?.feed({ type: 'demote', reason: 'script:test', weight: 1 + Math.floor(size * 239) }));
      return () => box.bound(() => box.daemon?.feed({ type: 'undemote', reason: 'script:test' }), 'socket')();
    case 'resync':
      tell(() => box.daemon?.io != null && daemon?.command({ type: 'resync' }));
      return nothing;
    case 'swap':
      tell(() => {
        for (const { lan, wan } of world.plan.couples) {
          for (const key of [lan, wan]) daemon?.feed({ type: 'force', key, state: size < 0.5 ? 'MASTER' : 'BACKUP' });
        }
      });
      return nothing;
    default:
      return nothing;
  }
}

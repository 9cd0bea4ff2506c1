/** The BSD names of CARP's settings (carp(4)): read as a BSD admin expects, written where that has a meaning here. */
import { demotionTotal } from '../../carp/context.ts';
import type { GroupEvent, GroupState } from '../../carp/types.ts';
import type { SysctlResult } from '../../contract/control.ts';

const PREFIX = 'net.inet.carp.';
/** The reason under which values written to `demotion` add up. */
const REASON = 'sysctl';

export interface Settings {
  group: GroupState;
  log: number;
  setLog(level: number): void;
  feed(event: GroupEvent): void;
}

interface Oid {
  get(s: Settings): number;
  set?(s: Settings, value: number): void;
  /** Smallest and largest value that can be written. */
  range?: [number, number];
}

const OIDS: Record<string, Oid> = {
  allow: {
    get: (s) => Number(s.group.allow),
    set: (s, value) => s.feed({ type: 'allow', on: value === 1 }),
    range: [0, 1],
  },
  preempt: {
    get: (s) => Number(s.group.config.preempt),
    set: (s, value) => s.feed({ type: 'config', config: { ...s.group.config, preempt: value === 1 } }),
    range: [0, 1],
  },
  log: { get: (s) => s.log, set: (s, value) => s.setLog(value), range: [0, 2] },
  // Read-only, as on FreeBSD up to 9 and NetBSD: is preemption held back by a demotion?
  suppress_preempt: { get: (s) => Number(demotionTotal(s.group) > 0) },
  demotion: {
    get: (s) => demotionTotal(s.group),
    // Writing adds (FreeBSD 10 and later).
    set: (s, value) => addDemotion(s, value),
    range: [-255, 255],
  },
  // Gone from the BSDs; its users run two vhids, each node master of one.
  arpbalance: { get: () => 0 },
};

function addDemotion(s: Settings, value: number): void {
  const weight = (s.group.demotions[REASON] ?? 0) + value;
  if (weight === 0) s.feed({ type: 'undemote', reason: REASON });
  else s.feed({ type: 'demote', reason: REASON, weight });
}

/** @throws Error as BSD's sysctl(8) words it */
export function sysctl(settings: Settings, name: string, value: number | null): SysctlResult {
  const word = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : '';
  const oid = Object.hasOwn(OIDS, word) ? OIDS[word] : undefined;
  if (oid === undefined) throw new Error(`unknown oid '${name}'`);
  const old = oid.get(settings);
  if (value === null) return { value: old };
  if (oid.set === undefined || oid.range === undefined) throw new Error(`oid '${name}' is read only`);
  const [low, high] = oid.range;
  if (value < low || value > high) throw new Error(`oid '${name}': found ${value}, allowed ${low}..${high}`);
  oid.set(settings, value);
  return { old, value: oid.get(settings) };
}

export function oidNames(): string[] {
  return Object.keys(OIDS).map((word) => PREFIX + word);
}

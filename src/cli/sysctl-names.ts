/** The BSD sysctl names that Carpio answers to; the node implements them. Pure. */

export interface SysctlName {
  name: string;
  writable: boolean;
  min: number;
  max: number;
  meaning: string;
}

const PREFIX = 'net.inet.carp.';

const entry = (leaf: string, min: number, max: number, meaning: string, writable = true): SysctlName => ({
  name: PREFIX + leaf,
  writable,
  min,
  max,
  meaning,
});

export const SYSCTLS: readonly SysctlName[] = [
  entry('allow', 0, 1, '0: take no part in CARP, every vhid is INIT'),
  entry('preempt', 0, 1, '1: take over from a slower master, all vhids together'),
  entry('log', 0, 2, '0 nothing, 1 role changes and bad packets, 2 every advert'),
  entry('suppress_preempt', 0, 1, '1: a demotion holds this node back', false),
  entry('demotion', -255, 255, 'sum of all demotions; a value written is added, as in FreeBSD'),
  entry('arpbalance', 0, 0, 'gone from the BSDs too; two vhids, each node master of one, share the load', false),
];

/** The entries that `name` means: one, or all below it (`net.inet.carp`); empty when there is none. */
export function findSysctls(name: string): readonly SysctlName[] {
  const below = `${name.replace(/\.$/, '')}.`;
  return SYSCTLS.filter((known) => known.name === name || known.name.startsWith(below));
}

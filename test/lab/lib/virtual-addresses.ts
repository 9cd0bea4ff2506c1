/** What a node's kernel and log show of its virtual addresses. */
import { command } from '../../../scripts/lab/command.ts';
import type { Firewall } from '../../../scripts/lab/firewall.ts';
import type { Lab } from '../../../scripts/lab/lab.ts';
import { bare, type FirewallName, VIPS } from '../../../scripts/lab/plan.ts';

/** The virtual addresses that are on devices that are up, sorted: `carp1-wan 203.0.113.1/24`. */
export async function virtualAddresses(lab: Lab, node: FirewallName): Promise<string[]> {
  void lab;
  const { stdout } = await command(['ip', '-n', node, '-j', 'addr', 'show', 'up']);
  const devices = JSON.parse(stdout) as { ifname: string; addr_info?: { local: string; prefixlen: number }[] }[];
  const virtual = new Set<string>(Object.values(VIPS).flatMap((vip) => vip.addresses.map(bare)));
  return devices
    .flatMap(({ ifname, addr_info }) =>
      (addr_info ?? [])
        .filter((info) => virtual.has(info.local))
        .map((info) => `${ifname} ${info.local}/${info.prefixlen}`),
    )
    .sort();
}

/** Events of one kind in a node's log, from its first line on. */
export function logged(firewall: Firewall, kind: string): Record<string, unknown>[] {
  return firewall
    .log()
    .split('\n')
    .flatMap((line) => {
      try {
        const entry = JSON.parse(line) as Record<string, unknown>;
        return entry.kind === kind ? [entry] : [];
      } catch {
        return [];
      }
    });
}

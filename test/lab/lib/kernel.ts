/** What the kernels hold, asked without any of Carpio's code. */
import { readFileSync } from 'node:fs';
import { which } from '../../../scripts/lab/command.ts';
import type { Lab } from '../../../scripts/lab/lab.ts';
import { ECHO_PORT, type FirewallName } from '../../../scripts/lab/plan.ts';

/** Why connectionsIn cannot be asked here, or null. */
export const noConntrack = (): string | null =>
  which('conntrack') ? null : 'the conntrack tool is missing (apt-get install conntrack)';

/**
 * The established TCP connections to the echo service in a node's kernel, sorted: both tuples, without timeouts, marks
 * and counters, which differ by nature.
 */
export async function connectionsIn(lab: Lab, node: FirewallName): Promise<string[]> {
  const filter = ['-p', 'tcp', '--orig-port-dst', String(ECHO_PORT), '--state', 'ESTABLISHED'];
  const { stdout } = await lab.exec(node, ['conntrack', '-L', ...filter]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => [...line.matchAll(/\b(?:src|dst|sport|dport)=\S+/g)].map(([field]) => field).join(' '))
    .sort();
}

/** Everything a daemon could have changed in a node's network: devices, addresses, rules, settings. */
export async function footprint(lab: Lab, node: FirewallName): Promise<string> {
  const show = async (...argv: string[]): Promise<string> => (await lab.exec(node, argv)).stdout;
  const settings = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding', 'net/ipv4/conf/eth0/arp_ignore'];
  return [
    // A macvlan's operational state follows its NIC's some time after the device is up.
    (await show('ip', '-br', 'link')).replaceAll('UNKNOWN', 'UP     '),
    (await show('ip', '-br', 'addr')).replaceAll('UNKNOWN', 'UP     '),
    // Without what packets and time change: counters, and how long a gate stays open.
    await show('nft', '-s', 'list', 'ruleset'),
    await show('sh', '-c', settings.map((path) => `cat /proc/sys/${path}`).join('; ')),
  ].join('\n');
}

/** Names of the virtual devices on a node. */
export async function macvlans(lab: Lab, node: FirewallName): Promise<string[]> {
  const { stdout } = await lab.exec(node, ['ip', '-j', 'link', 'show', 'type', 'macvlan']);
  return (JSON.parse(stdout || '[]') as { ifname?: string }[]).flatMap((link) => link.ifname ?? []).sort();
}

/** Names of the tables of a node's packet filter. */
export async function tables(lab: Lab, node: FirewallName): Promise<string[]> {
  return (await lab.exec(node, ['nft', 'list', 'tables'])).stdout.trim().split('\n').sort();
}

/** Resident memory of a process, in kB. */
export function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
}

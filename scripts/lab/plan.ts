/**
 * The lab's address plan.
 *
 *   client --- [lan] --- fw-a --- [wan] --- server        lan, wan: bridges in the namespace "switch"
 *                \------ fw-b ------/
 *                        fw-a === fw-b                    sync: a cable of its own
 *
 * IPv4 from 10.77.0.0/16 and TEST-NET-3 (RFC 5737), IPv6 from fd77::/32 (RFC 4193). Nothing leaves the namespaces.
 */

export type FirewallName = 'fw-a' | 'fw-b';
export type NodeName = FirewallName | 'client' | 'server';
export type Cable = 'lan' | 'wan' | 'sync';

export const FIREWALLS: readonly FirewallName[] = ['fw-a', 'fw-b'];
export const CABLES: readonly Cable[] = ['lan', 'wan', 'sync'];
export const SWITCH = 'switch';

export const otherOf = (name: FirewallName): FirewallName => (name === 'fw-a' ? 'fw-b' : 'fw-a');

/** Device of a role on both firewalls. */
export const DEVICES: Readonly<Record<Cable, string>> = { wan: 'eth0', lan: 'eth1', sync: 'eth2' };

interface Port {
  cable: Cable;
  device: string;
  mac: string;
  addresses: readonly string[];
}

function firewallPorts(last: number): readonly Port[] {
  const mac = (role: number): string => `02:77:00:00:0${role}:0${last}`;
  return [
    { cable: 'wan', device: DEVICES.wan, mac: mac(2), addresses: [`203.0.113.${last}/24`, `fd77:2::${last}/64`] },
    { cable: 'lan', device: DEVICES.lan, mac: mac(1), addresses: [`10.77.1.${last}/24`, `fd77:1::${last}/64`] },
    { cable: 'sync', device: DEVICES.sync, mac: mac(3), addresses: [`10.77.3.${last}/24`, `fd77:3::${last}/64`] },
  ];
}

/** The cables of every machine, in the order they are plugged. */
export const PORTS: Readonly<Record<NodeName, readonly Port[]>> = {
  client: [{ cable: 'lan', device: 'eth0', mac: '02:77:00:00:01:10', addresses: ['10.77.1.10/24', 'fd77:1::10/64'] }],
  server: [{ cable: 'wan', device: 'eth0', mac: '02:77:00:00:02:10', addresses: ['203.0.113.10/24', 'fd77:2::10/64'] }],
  'fw-a': firewallPorts(2),
  'fw-b': firewallPorts(3),
};

/** The virtual addresses, by role: what the client uses as its router and what the server sees as the client. */
export const VIPS = {
  wan: { vhid: 1, addresses: ['203.0.113.1/24', 'fd77:2::1/64'] },
  lan: { vhid: 2, addresses: ['10.77.1.1/24', 'fd77:1::1/64'] },
} as const;

export const LAN_NET = '10.77.1.0/24';
export const SERVER_IP = '203.0.113.10';
export const SERVER_IP6 = 'fd77:2::10';
export const ECHO_PORT = 7000;
export const FEED_PORT = 8180;

export const bare = (address: string): string => address.split('/')[0]!;
export const portName = (node: NodeName, cable: Cable): string => `${cable}-${node}`;

/**
 * From roles to devices: which interface a virtual address belongs to when the file leaves that out. Pure: the
 * interfaces of the machine are an argument.
 */

import { type Cidr, isLinkLocal, parseCidr, sameNetwork } from '../net/cidr.ts';
import { formatIp } from '../net/ip.ts';
import { deviceOf, virtualDevice } from './devices.ts';
import { errorAt } from './load.ts';
import type { ConfigError } from './problem.ts';
import type { Config, VipConfig } from './types.ts';

/** A device of this machine and its own addresses as `address/prefix`. */
export interface LinkAddresses {
  device: string;
  addresses: readonly string[];
}

export type ResolvedVip = VipConfig & {
  /** Role; now never left out. */
  interface: string;
  device: string;
  /** The macvlan that carries the virtual MAC, or `null` with `mac = "physical"`. */
  virtual_device: string | null;
};

type ResolveResult = { ok: true; vips: ResolvedVip[] } | { ok: false; errors: ConfigError[] };

/** The length of the longest own subnet on `device` that holds `address`; -1 when none does. */
function bestPrefix(address: Cidr, own: readonly Cidr[]): number {
  return Math.max(-1, ...own.filter((net) => sameNetwork(net, address, net.prefix)).map((net) => net.prefix));
}

/**
 * The roles whose own subnet holds one of `addresses`, the most exact match first wins; several when there is a tie.
 */
function rolesFor(addresses: readonly Cidr[], own: ReadonlyMap<string, readonly Cidr[]>): string[] {
  let best = -1;
  let roles: string[] = [];
  for (const [role, nets] of own) {
    const prefix = Math.max(-1, ...addresses.map((address) => bestPrefix(address, nets)));
    if (prefix < 0 || prefix < best) continue;
    roles = prefix > best ? [role] : [...roles, role];
    best = prefix;
  }
  return roles;
}

function ownSubnets(config: Config, links: readonly LinkAddresses[]): Map<string, Cidr[]> {
  const own = new Map<string, Cidr[]>();
  for (const [role, device] of Object.entries(config.interfaces)) {
    const texts = links.filter((link) => link.device === device).flatMap((link) => link.addresses);
    own.set(
      role,
      texts.map((text) => parseCidr(text)).filter((cidr) => cidr !== null),
    );
  }
  return own;
}

function findRole(config: Config, index: number, own: ReadonlyMap<string, readonly Cidr[]>): string | ConfigError {
  const vip = config.vip[index]!;
  if (vip.interface !== null) return vip.interface;
  const parsed = vip.addresses.map((text) => parseCidr(text)).filter((cidr) => cidr !== null);
  // fe80::/10 is on every link, so it tells nothing about which one is meant.
  const roles = rolesFor(
    parsed.filter((cidr) => !isLinkLocal(cidr)),
    own,
  );
  if (roles.length === 1) return roles[0]!;
  const path = ['vip', index, 'interface'];
  const list = vip.addresses.join(', ');
  if (roles.length === 0) {
    return errorAt(config, path, `left out, but no role has an own address in a subnet of ${list}; name the interface`);
  }
  return errorAt(
    config,
    path,
    `left out, but ${roles.join(' and ')} both have an own address in a subnet of ${list}; name one`,
  );
}

/** The roles whose device this machine does not have, each as an error at its line. */
export function missingDevices(config: Config, links: readonly LinkAddresses[]): ConfigError[] {
  const there = links.map((link) => link.device).filter((name) => name !== 'lo');
  return Object.entries(config.interfaces)
    .filter(([, device]) => !links.some((link) => link.device === device))
    .map(([role, device]) =>
      errorAt(config, ['interfaces', role], `found "${device}", no such device; this machine has ${there.join(', ')}`),
    );
}

/** A link-local address may stand on several links, and once on each. */
function linkLocalTwice(config: Config, index: number, device: string, used: Map<string, number>): ConfigError[] {
  return (config.vip[index]?.addresses ?? []).flatMap((text, at) => {
    const cidr = parseCidr(text);
    if (cidr === null || !isLinkLocal(cidr)) return [];
    const name = `${formatIp(cidr.bytes)} on ${device}`;
    const other = used.get(name);
    used.set(name, other ?? index);
    if (other === undefined) return [];
    const found = `found ${text}, which vip[${other}] already has on ${device}, allowed once on each interface`;
    return [errorAt(config, ['vip', index, 'addresses', at], found)];
  });
}

/**
 * Gives every virtual IP its role, its device and the name of its virtual device. Errors: no or several interfaces fit
 * a left-out `interface`; a vhid or a device name is used twice once the roles are known.
 */
export function resolveVips(config: Config, links: readonly LinkAddresses[]): ResolveResult {
  const own = ownSubnets(config, links);
  const vips: ResolvedVip[] = [];
  const errors: ConfigError[] = [];
  const used = new Map<string, number>();
  config.vip.forEach((vip, index) => {
    const role = findRole(config, index, own);
    if (typeof role !== 'string') {
      errors.push(role);
      return;
    }
    const device = deviceOf(config.interfaces, role) ?? '';
    const virtual_device = vip.mac === 'virtual' ? virtualDevice(vip.vhid, role) : null;
    const names = [`vhid ${vip.vhid} on ${device}`, ...(virtual_device ? [`device ${virtual_device}`] : [])];
    for (const name of names) {
      const other = used.get(name);
      if (other === undefined) used.set(name, index);
      else
        errors.push(
          errorAt(config, ['vip', index, 'vhid'], `found ${vip.vhid}: ${name} is already that of vip[${other}]`),
        );
    }
    errors.push(...linkLocalTwice(config, index, device, used));
    vips.push({ ...vip, interface: role, device, virtual_device });
  });
  return errors.length > 0 ? { ok: false, errors } : { ok: true, vips };
}

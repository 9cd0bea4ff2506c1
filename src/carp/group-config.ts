/** From the configuration and the devices as they are to what the election needs to know. Pure. */

import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import { vhidKey } from '../contract/vhid-key.ts';
import type { LinkInfo } from '../kernel/links.ts';
import type { Sources } from './adverts.ts';
import { hasFamily } from './adverts.ts';
import type { GroupConfig, VhidConfig } from './types.ts';

const UNSPECIFIED = { 4: '0.0.0.0', 6: '::' } as const;

/** The node's own addresses on the parent: adverts are sent from them, and equal timers are decided by them. */
export function sourcesOf(vip: ResolvedVip, links: readonly LinkInfo[]): Sources {
  const link = links.find((l) => l.name === vip.device);
  const virtual = new Set(vip.addresses.map((cidr) => cidr.split('/')[0]));
  const own = (link?.addresses ?? []).filter((a) => !a.ours && !virtual.has(a.address));
  const v4 = own.find((a) => !a.address.includes(':'))?.address;
  const v6 = own.find((a) => a.address.toLowerCase().startsWith('fe80'))?.address;
  // With the NIC's own MAC the virtual address stands on one box alone, and is a source that the peer takes. A virtual
  // device carries it on both: the peer's kernel drops what has one of its own addresses as source
  // (fib_validate_source), so that would be an advert that nobody hears.
  const first4 = vip.mac === 'physical' ? vip.addresses.find((cidr) => !cidr.includes(':'))?.split('/')[0] : undefined;
  return { v4: v4 ?? first4 ?? null, v6: v6 ?? null };
}

/** Only families that the interface can speak are sent and awaited; the others are named in `lacking`. */
export function groupConfig(config: Config, vips: readonly ResolvedVip[], links: readonly LinkInfo[]): GroupConfig {
  const linkWeights: Record<string, number> = {};
  for (const track of config.track) if (track.kind === 'link') linkWeights[track.interface] = track.weight;
  return {
    preempt: config.carp.preempt,
    startHoldUs: 0,
    vips: vips.map((vip) => vhidConfig(vip, links)),
    linkWeights,
    early: config.sync !== null && config.sync.key !== null,
  };
}

function vhidConfig(vip: ResolvedVip, links: readonly LinkInfo[]): VhidConfig {
  const sources = sourcesOf(vip, links);
  // A device that is gone or set down has lost addresses with that: the link's own rules say what follows.
  const up = links.find((link) => link.name === vip.device)?.up === true;
  const can = { 4: sources.v4 !== null || !up, 6: sources.v6 !== null || !up };
  const v4 = hasFamily(vip, 4) && can[4];
  const v6 = hasFamily(vip, 6) && can[6];
  const lacking = ([4, 6] as const).filter((family) => hasFamily(vip, family) && !can[family]);
  return {
    key: vhidKey(vip),
    vhid: vip.vhid,
    interface: vip.interface,
    advbase: vip.advbase,
    advskew: vip.advskew,
    v4,
    v6,
    ownAddress: (v4 ? sources.v4 : sources.v6) ?? UNSPECIFIED[v4 ? 4 : 6],
    ...(v4 && v6 && sources.v6 !== null ? { ownAddress6: sources.v6 } : {}),
    ...(lacking.length > 0 ? { lacking } : {}),
  };
}

interface RoleLink {
  role: string;
  device: string;
  ifindex: number;
  present: boolean;
  up: boolean;
}

/** Each role's device as the kernel has it now. */
export function linkStates(config: Config, links: readonly LinkInfo[]): RoleLink[] {
  return Object.entries(config.interfaces).map(([role, device]) => {
    const link = links.find((l) => l.name === device);
    return {
      role,
      device,
      ifindex: link?.index ?? 0,
      present: link !== undefined,
      up: link?.up === true && link.carrier,
    };
  });
}

/**
 * Only a carrier that is known to be gone counts: a device that is not in the list, set down or dormant is the kernel's
 * to refuse.
 */
export function hasCarrier(links: readonly LinkInfo[], device: string): boolean {
  const link = links.find(({ name }) => name === device);
  return link === undefined || !link.up || link.carrier || link.operstate === 'dormant';
}

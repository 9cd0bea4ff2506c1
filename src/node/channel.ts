/** The node's end of the peer channel: made from the configuration, told of addresses, asked for its status. */

import { PeerChannel } from '../channel/channel.ts';
import type { Config } from '../config/types.ts';
import type { PeerEvent } from '../contract/events.ts';
import { VERSION } from '../contract/version.ts';
import type { LinkInfo } from '../kernel/links.ts';

interface PeerSidePorts {
  publish(event: PeerEvent): void;
  warn(message: string): void;
}

export function hasPeerChannel({ sync }: Config): boolean {
  return sync !== null && sync.dialect === 'carpio' && sync.key !== null;
}

/**
 * The channel of this configuration; null when there is none: no [sync], a dialect of others, or no key. Without a key
 * anybody on that link could be the peer, so nothing that changes this node is ever listened for.
 */
export function makePeerChannel(
  config: Config,
  secrets: readonly Uint8Array[],
  ports: PeerSidePorts,
): PeerChannel | null {
  const { sync, node } = config;
  if (!hasPeerChannel(config) || sync === null) return null;
  const options = { node: node.name, version: VERSION, secrets, port: sync.port, peer: sync.peer };
  return new PeerChannel(options, ports);
}

/** Addresses on the sync device that are this node's own, with their prefixes. */
export function syncAddresses(config: Config, links: readonly LinkInfo[]): string[] {
  const device = config.sync === null ? null : config.interfaces[config.sync.interface];
  const link = links.find((one) => one.name === device);
  return (link?.addresses ?? []).map((address) => `${address.address}/${address.prefix}`);
}

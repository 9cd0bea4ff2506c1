/**
 * Early take-over between two Carpio boxes: feeds the probe machine with what the node sees of its peer. Needs the pair
 * key: without one anybody could answer for a dead peer, so the protocol's own timers decide.
 */

import { linkStates, sourcesOf } from '../carp/group-config.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { sameAddress } from '../net/ip.ts';
import type { ReceivedReport } from './peer-report.ts';
import type { ProbePath, ProberPorts } from './probe/runner.ts';
import { Prober } from './probe/runner.ts';

/**
 * This node's own addresses on every network that has a vhid: the peer asks here, and knows whose adverts are whose.
 */
export function ownAddresses(vips: readonly ResolvedVip[], links: readonly LinkInfo[]): Record<string, string[]> {
  const own: Record<string, string[]> = {};
  for (const vip of vips) {
    const { v4, v6 } = sourcesOf(vip, links);
    const virtual = vip.addresses.map((cidr) => cidr.split('/')[0]);
    own[vip.interface] = [v4, v6].filter((address) => address !== null && !virtual.includes(address)) as string[];
  }
  return own;
}

export class EarlyTakeOver {
  private readonly prober: Prober;
  private config: Config;
  private vips: readonly ResolvedVip[];
  private links: readonly LinkInfo[] = [];
  private peer: Record<string, string[]> = {};
  private last = '';

  constructor(secrets: readonly Uint8Array[], config: Config, vips: readonly ResolvedVip[], ports: ProberPorts) {
    this.config = config;
    this.vips = vips;
    this.prober = new Prober(secrets, ports);
  }

  multicast(role: string, ms: number): Promise<boolean | null> {
    return this.prober.multicast(role, ms);
  }

  get counters(): Record<string, number> {
    return this.prober.counters;
  }

  setSecrets(secrets: readonly Uint8Array[]): void {
    this.prober.setSecrets(secrets);
  }

  configure(config: Config, vips: readonly ResolvedVip[]): void {
    this.config = config;
    this.vips = vips;
    this.setPaths();
  }

  onLinks(links: readonly LinkInfo[]): void {
    this.links = links;
    this.setPaths();
    const role = this.config.sync?.interface;
    const link = linkStates(this.config, links).find((one) => one.role === role);
    if (link !== undefined) this.prober.feed({ type: 'carrier', up: link.up });
  }

  onReport(received: ReceivedReport): void {
    // A repeated report is the very same object.
    if (received.own !== this.peer && JSON.stringify(received.own) !== JSON.stringify(this.peer)) {
      this.peer = received.own;
      this.setPaths();
    }
    this.prober.feed({ type: received.report.goingDown ? 'leaving' : 'report' });
  }

  /** The peer channel's connection has ended. */
  onChannelEnded(): void {
    this.prober.feed({ type: 'channelEnded' });
  }

  /** A valid advertisement; one from the peer's own address is a sign of life. A bow-out is not. */
  onAdvert(role: string, from: string, bowOut: boolean): void {
    if (bowOut || !this.isPeer(role, from)) return;
    this.prober.feed({ type: 'advert', path: role });
  }

  /** Is this one of the peer's own addresses on that network? */
  isPeer(role: string, address: string): boolean {
    return (this.peer[role] ?? []).some((own) => sameAddress(own, address));
  }

  close(): void {
    this.prober.close();
  }

  private setPaths(): void {
    const own = ownAddresses(this.vips, this.links);
    const states = linkStates(this.config, this.links);
    const paths = Object.entries(own).flatMap(([role, addresses]): ProbePath[] => {
      const link = states.find((one) => one.role === role);
      if (link === undefined) return [];
      const families = ([4, 6] as const).filter((f) => addresses.some((a) => a.includes(':') === (f === 6)));
      const { device, ifindex, up } = link;
      return [{ role, device, ifindex, up, peer: this.peer[role] ?? [], families }];
    });
    const text = JSON.stringify(paths);
    if (text === this.last) return;
    this.last = text;
    this.prober.setPaths(paths);
  }
}

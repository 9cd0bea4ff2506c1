/**
 * Resolves the peer on the sync link when its carrier comes back. The kernel asks for a neighbour once a second, and
 * its first question after the plug went in is often lost, because the other end or the switch between is not ready:
 * states would wait up to a second. This sends the same question as the kernel (an ARP request with the node's own
 * address, RFC 826), but at once and a few times, until the peer is heard. Both kernels learn from question and answer.
 */
import type { Clock } from '../../contract/clock.ts';
import type { LinkInfo } from '../../kernel/links.ts';
import { arpRequest } from '../../net/frame.ts';
import { addressBytes, samePrefix } from '../../net/ip.ts';
import { parseMac } from '../../net/mac.ts';

/** Milliseconds after the carrier's return; 42 bytes each. */
export const ASK_AT = [0, 10, 25, 50, 100, 200, 400] as const;

interface FinderPorts {
  /** Opens, sends and closes. @throws Error */
  send(device: { ifindex: number; name: string }, frame: Uint8Array): void;
  /** Has the peer been heard after that moment? Monotonic ms. */
  heardSince(ms: number): boolean;
}

export class SyncFinder {
  private readonly ports: FinderPorts;
  private readonly clock: Clock;
  private readonly peer: Uint8Array | null;
  private waiting: (() => void)[] = [];

  /** @param peer the configured address; null: the session runs over multicast, and needs no neighbour */
  constructor(peer: string | null, ports: FinderPorts, clock: Clock) {
    this.peer = peer === null ? null : addressBytes(peer);
    this.ports = ports;
    this.clock = clock;
  }

  carrierBack(link: LinkInfo | undefined): void {
    this.close();
    const { peer } = this;
    const mac = link === undefined ? null : parseMac(link.mac);
    if (link === undefined || mac === null || peer === null || peer.length !== 4) return;
    const own = ownTowards(link, peer);
    if (own === null) return;
    const frame = arpRequest(mac, own, null, peer);
    const since = this.clock.nowUs() / 1000;
    const ask = (): void => {
      if (!this.ports.heardSince(since)) this.send(link, frame);
    };
    ask();
    this.waiting = ASK_AT.filter((ms) => ms > 0).map((ms) => this.clock.later(ms, ask));
  }

  close(): void {
    for (const cancel of this.waiting.splice(0)) cancel();
  }

  private send({ index, name }: LinkInfo, frame: Buffer): void {
    try {
      this.ports.send({ ifindex: index, name }, frame);
    } catch {
      // The link is down again; its next carrier starts this again.
    }
  }
}

/** This node's address in the peer's network. */
function ownTowards(link: LinkInfo, peer: Uint8Array): Uint8Array | null {
  const own = link.addresses.filter(({ bytes, ours }) => bytes.length === 4 && !ours);
  return own.find(({ bytes, prefix }) => samePrefix(bytes, peer, prefix))?.bytes ?? null;
}

/**
 * What this node believes of its peer: the peer's advertisements weighed against its word on the sealed sync link, its
 * life asked for on every service network. Everything that the election is told of other hosts passes here.
 */

import { isBowOut } from '../carp/rules.ts';
import type { ArrivedAdvert, GroupEvent } from '../carp/types.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { DeniedCause } from '../contract/causes.ts';
import type { Clock } from '../contract/clock.ts';
import type { PeerEvent } from '../contract/events.ts';
import type { TapMaker } from '../contract/tap.ts';
import { roleOfKey } from '../contract/vhid-key.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { EarlyTakeOver } from './early-take-over.ts';
import type { ReceivedReport } from './peer-report.ts';
import type { ProbeVerdict } from './probe/machine.ts';
import type { ProberPorts } from './probe/runner.ts';
import { Unmasker } from './unmask/runner.ts';

interface PeerEarPorts {
  publish(event: PeerEvent): void;
  feed(event: GroupEvent): void;
  /** An advert that the peer denies. */
  unmasked(masked: ArrivedAdvert, cause: DeniedCause): void;
  vips(): readonly ResolvedVip[];
  look(): void;
  warn(message: string): void;
  /** Records what enters the machines. */
  taps?: TapMaker | null;
}

export class PeerEar {
  private readonly ports: PeerEarPorts;
  private readonly clock: Clock;
  private readonly openSocket: ProberPorts['open'];
  private early: EarlyTakeOver | null = null;
  private unmasker: Unmasker | null = null;

  /** @param openSocket how probes travel, when not over the machine's own networks */
  constructor(ports: PeerEarPorts, clock: Clock, openSocket?: ProberPorts['open']) {
    this.ports = ports;
    this.clock = clock;
    this.openSocket = openSocket;
  }

  /** There is a pair key, or another one now: the peer can be asked, and its word counts. */
  trustPeer(secrets: readonly Uint8Array[], config: Config, links: readonly LinkInfo[]): void {
    if (this.early !== null) {
      this.early.setSecrets(secrets);
      return;
    }
    const { ports, clock } = this;
    const prober: ProberPorts = {
      verdict: (verdict) => this.onVerdict(verdict),
      warn: (message) => ports.warn(message),
      look: () => ports.look(),
      now: () => clock.nowUs(),
      later: (ms, call) => clock.later(ms, call),
      taps: ports.taps ?? null,
    };
    if (this.openSocket !== undefined) prober.open = this.openSocket;
    this.early = new EarlyTakeOver(secrets, config, ports.vips(), prober);
    const judged = {
      counts: (masked: ArrivedAdvert) => this.takeAdvert(masked),
      refused: (masked: ArrivedAdvert, cause: DeniedCause) => ports.unmasked(masked, cause),
    };
    this.unmasker = new Unmasker(judged, clock, ports.taps);
    this.early.onLinks(links);
  }

  async multicast(role: string, ms: number): Promise<boolean | null> {
    return (await this.early?.multicast(role, ms)) ?? null;
  }

  configure(config: Config): void {
    this.early?.configure(config, this.ports.vips());
  }

  onLinks(links: readonly LinkInfo[]): void {
    this.early?.onLinks(links);
  }

  /**
   * A valid advertisement; one from the peer's own address is held against what the peer says over the sealed sync
   * link.
   */
  onAdvert(masked: ArrivedAdvert): void {
    const { key, from } = masked;
    if (this.unmasker !== null && this.early?.isPeer(roleOfKey(key), from)) this.unmasker.advert(masked);
    else this.takeAdvert(masked);
  }

  /** One that has proven itself needs nobody's word. */
  onProven(masked: ArrivedAdvert): void {
    this.takeAdvert(masked);
  }

  /** What the peer says of itself; null: it is not heard any more. */
  onPeer(received: ReceivedReport | null): void {
    if (received !== null) this.early?.onReport(received);
    this.unmasker?.report(received?.report ?? null);
    this.ports.feed({ type: 'peer', report: received?.report ?? null });
  }

  onChannelEnded(): void {
    this.early?.onChannelEnded();
  }

  close(): void {
    this.early?.close();
    this.unmasker?.close();
  }

  private onVerdict(verdict: ProbeVerdict): void {
    const { ports } = this;
    switch (verdict.type) {
      case 'dead':
        ports.publish({ kind: 'peer.dead', cause: verdict.cause });
        ports.feed({ type: 'peerDead', cause: verdict.cause });
        return;
      case 'alive':
        ports.publish({ kind: 'sync.link_down_peer_alive', path: verdict.path, cause: verdict.cause });
        return;
      case 'undecided':
        ports.publish({ kind: 'peer.undecided', cause: verdict.cause });
        return;
    }
  }

  private takeAdvert({ key, family, advert, from }: ArrivedAdvert): void {
    this.early?.onAdvert(roleOfKey(key), from, isBowOut(advert));
    const { advbase, advskew, demote } = advert;
    this.ports.feed({ type: 'advert', key, family, advert: { advbase, advskew, demote }, from });
  }
}

/**
 * The other hosts of the segments, above all the peer: whether it lives, whether what claims to be it is it, and what
 * is wrong between the hosts. Everything that the election is told of them passes here.
 */

import type { ArrivedAdvert, GroupEvent, GroupState } from '../carp/types.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { DeniedCause } from '../contract/causes.ts';
import { nowUs, REAL_CLOCK } from '../contract/clock.ts';
import type { CarpEvent, PeerEvent } from '../contract/events.ts';
import type { TapMaker } from '../contract/tap.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { ArpSide } from './address-witness.ts';
import { explainDuplicate, explainVirtualMac } from './diagnose.ts';
import { Diagnoser } from './diagnoser.ts';
import { PeerEar } from './peer-ear.ts';
import type { ReceivedReport } from './peer-report.ts';

/** An advert that is older is no sign that adverts arrive, us. */
const HEARD_LATELY_US = 5_000_000;

interface NeighboursPorts {
  publish(event: CarpEvent | PeerEvent): void;
  feed(event: GroupEvent): void;
  /** An advert that the peer denies. */
  unmasked(masked: ArrivedAdvert, cause: DeniedCause): void;
  group(): GroupState;
  /** What the addresses of a vhid are announced with; null: no such vhid. */
  mac(key: VhidKey): string | null;
  vips(): readonly ResolvedVip[];
  look(): void;
  warn(message: string): void;
  /** Records what enters the machines. */
  taps?: TapMaker | null;
}

export class Neighbours {
  private readonly ports: NeighboursPorts;
  private readonly diagnoser: Diagnoser;
  private readonly arp: ArpSide;
  private readonly ear: PeerEar;

  constructor(ports: NeighboursPorts) {
    this.ports = ports;
    this.ear = new PeerEar(ports, REAL_CLOCK);
    this.diagnoser = new Diagnoser({
      tell: ({ vhid, interface: role }, { what, reason }, over) =>
        ports.publish({ kind: 'carp.diagnosis', vhid, interface: role, what, over, reason }),
      vips: () => ports.vips(),
    });
    this.arp = new ArpSide({
      vhid: (key) => this.facts(key),
      peerLeads: (key) => this.peerLeads(key),
      duplicate: (vip, address, mac) =>
        this.diagnoser.complain(vip, explainDuplicate(address, mac, vip.interface), `${address} ${mac}`),
      virtualMac: (vip, address, mac, master, through) => {
        if (through) this.diagnoser.takeBack(vip, 'virtual_mac', '');
        else this.diagnoser.complain(vip, explainVirtualMac(address, mac, master, vip.interface), '', true);
      },
      warn: (message) => ports.warn(message),
    });
  }

  /** There is a pair key, or another one now: the peer can be asked, and its word counts. */
  trustPeer(secrets: readonly Uint8Array[], config: Config, links: readonly LinkInfo[]): void {
    this.ear.trustPeer(secrets, config, links);
  }

  configure(config: Config, links: readonly LinkInfo[]): void {
    this.ear.configure(config);
    this.arp.configure(this.ports.vips(), links);
  }

  onLinks(links: readonly LinkInfo[]): void {
    this.ear.onLinks(links);
    this.arp.configure(this.ports.vips(), links);
  }

  /** Does the peer answer a probe to CARP's multicast group on that network? null: it cannot be asked. */
  multicast(role: string, ms: number): Promise<boolean | null> {
    return this.ear.multicast(role, ms);
  }

  onRole(key: VhidKey, state: string): void {
    this.arp.onRole(key, state);
  }

  /**
   * A valid advertisement; one from the peer's own address is held against what the peer says, unless it has
   * proven itself.
   */
  onAdvert(masked: ArrivedAdvert, proven: boolean): void {
    if (proven) this.ear.onProven(masked);
    else this.ear.onAdvert(masked);
    this.diagnoser.onAdvert(masked.key, masked.from);
  }

  onRefused(counter: string, role: string, vhid: number | null, from: string | null): void {
    this.diagnoser.onRefused(counter, role, vhid, from);
  }

  /** What the peer says of itself; null: it is not heard any more. */
  onPeer(received: ReceivedReport | null): void {
    this.ear.onPeer(received);
    if (received !== null) this.diagnoser.onReport(received);
  }

  /** The peer channel's connection has ended: the peer may have died. */
  onChannelEnded(): void {
    this.ear.onChannelEnded();
  }

  close(): void {
    this.ear.close();
    this.diagnoser.close();
    this.arp.close();
  }

  private facts(key: VhidKey): { state: string; mac: string } | null {
    const mac = this.ports.mac(key);
    const v = this.ports.group().vhids[key];
    return mac === null || v === undefined ? null : { state: v.state, mac };
  }

  private peerLeads(key: VhidKey): string | null {
    const { peer, vhids } = this.ports.group();
    const heard = vhids[key]?.heard4 ?? null;
    if (peer?.report.vhids[key]?.state !== 'MASTER' || nowUs() > peer.freshUntil || heard === null) return null;
    return nowUs() - heard.atUs < HEARD_LATELY_US ? heard.from : null;
  }
}

/**
 * Advertisements in and out: packets of the wire on one side, the election's words on the other, BSD's counters
 * between.
 */

import { randomBytes, randomInt } from 'node:crypto';
import type { ResolvedVip } from '../config/resolve.ts';
import { type VhidKey, vhidKey } from '../contract/vhid-key.ts';
import type { CarpReceiverOptions, CarpSender, Closable } from '../kernel/carp-socket.ts';
import { openCarpReceiver, openCarpSender } from '../kernel/carp-socket.ts';
import type { OwnPackets, SendCounter } from './counter.ts';
import { heardCounter, newOwnPackets, newSendCounter, rememberSent, takeCounter } from './counter.ts';
import { buildIpv4, buildIpv6, CARP_GROUP_V4, CARP_GROUP_V6 } from './ip.ts';
import type { HmacAddresses } from './packet.ts';
import { ADVERT_BYTES, encodeAdvert, hmacAddresses, keyOf } from './packet.ts';
import type { Received } from './receive.ts';
import { receiveAdvert, receivePacket } from './receive.ts';
import type { Action, ArrivedAdvert, Family } from './types.ts';

type SendAdvert = Extract<Action, { type: 'sendAdvert' }>;

interface AdvertPorts {
  /** A valid advertisement of another host. */
  advert(arrived: ArrivedAdvert): void;
  sendResult(key: VhidKey, ok: boolean): void;
  /** A packet that was refused: the BSD counter's name, and what is known of it. */
  refused(counter: string, role: string, vhid: number | null, from: string | null): void;
  warn(message: string): void;
  /** Called before anything that arrives is looked at (Election.look). */
  look(): void;
  /** The counter that proves this advertisement to the peer; null: there is nothing to prove it with. */
  prove(advert: ProvableAdvert): bigint | null;
}

interface ProvableAdvert {
  vhid: number;
  family: Family;
  source: string;
  advbase: number;
  advskew: number;
  demote: number;
}

/** The source addresses of this node's advertisements on one device. */
export interface Sources {
  v4: string | null;
  v6: string | null;
}

interface Vhid {
  key: VhidKey;
  vip: ResolvedVip;
  key20: Buffer;
  addresses: HmacAddresses;
  sources: Sources;
  counter: SendCounter;
  sent: OwnPackets;
  sender: CarpSender;
}

export function hasFamily(vip: { addresses: string[] }, family: Family): boolean {
  return vip.addresses.some((address) => address.includes(':') === (family === 6));
}

export class Adverts {
  /** Packets by the BSD names. */
  readonly counters: Record<string, number> = { ipackets: 0, ipackets6: 0, opackets: 0, opackets6: 0, oerrors: 0 };
  private readonly ports: AdvertPorts;
  private readonly vhids = new Map<VhidKey, Vhid>();
  private readonly receivers = new Map<string, { of: string; socket: Closable }>();

  constructor(ports: AdvertPorts) {
    this.ports = ports;
  }

  /** Begins to speak for a vhid, or goes on with changed settings. `device`: what carries the source MAC. */
  setVhid(vip: ResolvedVip, device: string, sources: Sources): void {
    const key = vhidKey(vip);
    const before = this.vhids.get(key);
    before?.sender.close();
    const families = { v4: hasFamily(vip, 4), v6: hasFamily(vip, 6) };
    const key20 = keyOf(vip.password.reveal());
    // To a named peer the NIC's own routes lead, and those of the virtual device do not (it has none, or only its
    // subnet's).
    const way = vip.peers.length > 0 ? vip.device : device;
    this.vhids.set(key, {
      key,
      vip,
      key20,
      addresses: hmacAddresses(vip.addresses),
      sources,
      counter: before?.counter ?? newSendCounter(),
      sent: before?.sent ?? newOwnPackets(),
      sender: openCarpSender({
        device: way,
        ...families,
        onResult: (family, error) => this.onResult(key, family, error),
      }),
    });
  }

  dropVhid(key: VhidKey): void {
    this.vhids.get(key)?.sender.close();
    this.vhids.delete(key);
  }

  /** Listens on a role's device for the vhids that it has. */
  listenFor(vips: readonly ResolvedVip[], link: { role: string; device: string; ifindex: number }): void {
    const here = vips.filter((vip) => vip.interface === link.role);
    if (here.length === 0) return;
    const families = { v4: here.some((vip) => hasFamily(vip, 4)), v6: here.some((vip) => hasFamily(vip, 6)) };
    this.listen(link.role, link.device, link.ifindex, families);
  }

  /** Again with another device index when the device was made anew. */
  private listen(role: string, device: string, ifindex: number, families: { v4: boolean; v6: boolean }): void {
    const of = `${device}#${ifindex} ${families.v4} ${families.v6}`;
    const before = this.receivers.get(role);
    if (before?.of === of) return;
    before?.socket.close();
    const options: CarpReceiverOptions = {
      device,
      ifindex,
      ...families,
      onPacket: (family, bytes, source) => this.onPacket(role, family, bytes, source),
      onError: (error) => this.ports.warn(error.message),
    };
    this.receivers.set(role, { of, socket: openCarpReceiver(options) });
  }

  unlisten(role: string): void {
    this.receivers.get(role)?.socket.close();
    this.receivers.delete(role);
  }

  send(action: SendAdvert): void {
    const vhid = this.vhids.get(action.key);
    if (vhid === undefined) return;
    for (const family of action.families) this.sendFamily(vhid, family, action);
  }

  /** Resolves when every advertisement has left (or was refused), or after `limitMs`: then its device may go. */
  async flushed(limitMs: number): Promise<void> {
    await Promise.all([...this.vhids.values()].map(({ sender }) => sender.flushed(limitMs)));
  }

  close(): void {
    for (const key of [...this.vhids.keys()]) this.dropVhid(key);
    for (const role of [...this.receivers.keys()]) this.unlisten(role);
  }

  private sendFamily(vhid: Vhid, family: Family, action: SendAdvert): void {
    const source = family === 4 ? vhid.sources.v4 : vhid.sources.v6;
    if (source === null) {
      this.count('oerrors');
      this.ports.sendResult(vhid.key, false);
      return;
    }
    const { advbase, advskew, demote } = action;
    const timers = { vhid: vhid.vip.vhid, advbase, advskew, demote };
    const proof = this.ports.prove({ ...timers, family, source });
    const counter = proof ?? takeCounter(vhid.counter, randomBytes(8).readBigUInt64BE());
    const payload = encodeAdvert({ ...timers, counter }, vhid.key20, vhid.addresses);
    rememberSent(vhid.sent, counter, payload.subarray(16, ADVERT_BYTES), source);
    for (const to of destinations(vhid.vip, family)) {
      vhid.sender.send(family, ipPacket(family, source, to, payload), to);
    }
  }

  private onResult(key: VhidKey, family: Family, error: Error | null): void {
    this.count(error === null ? (family === 4 ? 'opackets' : 'opackets6') : 'oerrors');
    this.ports.sendResult(key, error === null);
  }

  private onPacket(role: string, family: Family, bytes: Buffer, source: string): void {
    this.ports.look();
    this.count(family === 4 ? 'ipackets' : 'ipackets6');
    const lookup = (vhid: number) => this.vhids.get(vhidKey({ interface: role, vhid }));
    // IPv6 raw sockets keep the header to themselves; Carpio's own nftables table has checked the hop limit.
    const datagram = { family, src: source, dst: null, hopLimit: null, payload: bytes, truncated: false };
    const received: Received = family === 4 ? receivePacket(bytes, lookup) : receiveAdvert(datagram, lookup);
    if (!received.ok) {
      this.count(received.counter);
      this.ports.refused(received.counter, role, received.vhid, received.from);
      return;
    }
    const { advert } = received;
    const vhid = lookup(advert.vhid);
    if (vhid !== undefined) heardCounter(vhid.counter, advert.counter);
    const key = vhidKey({ interface: role, vhid: advert.vhid });
    this.ports.advert({ key, family, advert, from: received.from });
  }

  count(name: string): void {
    this.counters[name] = (this.counters[name] ?? 0) + 1;
  }
}

function ipPacket(family: Family, source: string, to: string, payload: Uint8Array): Buffer {
  return family === 4 ? buildIpv4(source, to, randomInt(1, 0x10000), payload) : buildIpv6(source, to, payload);
}

// Unicast when peers of the family are named, else the group. Never one in place of the other by itself.
function destinations(vip: ResolvedVip, family: Family): string[] {
  if (vip.peers.length > 0) return vip.peers.filter((peer) => peer.includes(':') === (family === 6));
  return [family === 4 ? CARP_GROUP_V4 : CARP_GROUP_V6];
}

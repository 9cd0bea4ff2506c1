/**
 * What ARP and neighbour discovery tell about the virtual addresses: whether somebody else has one of them, and, asked
 * from the backup by ARP, whether frames for the master's virtual MAC get through.
 */

import type { ResolvedVip } from '../config/resolve.ts';
import { messageOf } from '../contract/message-of.ts';
import { type VhidKey, vhidKey } from '../contract/vhid-key.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { PacketSocket } from '../kernel/packet-socket.ts';
import { claimFilter, readClaim } from '../net/arp.ts';
import { arpRequest, ETH_P_ARP, ETH_P_IPV6 } from '../net/frame.ts';
import { addressBytes, formatIp } from '../net/ip.ts';
import { parseMac } from '../net/mac.ts';
import { neighbourFilter, neighbourProbe, readNeighbourClaim } from '../net/nd.ts';

/**
 * Ms after a take-over: is anybody else there? Not earlier: a master that is about to let go would answer, and its
 * answer would teach the switch the virtual MAC on the wrong port.
 */
const PROBE_AT = [3000, 6000];
/** Ms: the backup's first question after a role change, and the later ones; three tries each. */
const FIRST_QUESTION = 3000;
const QUESTION_EVERY = 60_000;
const TRY_EVERY = 500;
const TRIES = 3;
/** Ms; a role that stands for longer after another MAC was seen is not being handed over. */
const HAND_OVER = 1500;
/** Timers of one vhid at a time: a flood of claims must not become a flood of timers. */
const MOST_TIMERS = 16;
const NOBODY = Buffer.alloc(4);

interface ArpPorts {
  /** What this vhid is now; `mac`: what its addresses are announced with. */
  vhid(key: VhidKey): { state: string; mac: string } | null;
  /** The master's address, when the peer says that it is master of this vhid and its adverts arrive; else null. */
  peerLeads(key: VhidKey): string | null;
  duplicate(vip: ResolvedVip, address: string, mac: string): void;
  /** `through` false: the virtual MAC does not pass. */
  virtualMac(vip: ResolvedVip, address: string, mac: string, master: string, through: boolean): void;
  warn(message: string): void;
}

interface Segment {
  role: string;
  of: string;
  mac: Uint8Array;
  sockets: PacketSocket[];
}

type Claim = { address: Uint8Array; mac: Uint8Array } | null;

export class ArpSide {
  private readonly ports: ArpPorts;
  private readonly segments = new Map<string, Segment>();
  private readonly timers = new Map<VhidKey, Set<NodeJS.Timeout>>();
  private readonly answered = new Set<string>();
  private vips: readonly ResolvedVip[] = [];
  private links: readonly LinkInfo[] = [];

  constructor(ports: ArpPorts) {
    this.ports = ports;
  }

  /** Listens where there are virtual addresses. */
  configure(vips: readonly ResolvedVip[], links: readonly LinkInfo[]): void {
    this.vips = vips;
    this.links = links;
    const roles = new Set(vips.map((vip) => vip.interface));
    for (const role of [...this.segments.keys()]) if (!roles.has(role)) this.drop(role);
    for (const role of roles) this.listen(role);
  }

  onRole(key: VhidKey, state: string): void {
    this.clear(key);
    if (state === 'MASTER') for (const ms of PROBE_AT) this.later(key, ms, () => this.probe(key));
    if (state === 'BACKUP') this.later(key, FIRST_QUESTION, () => this.question(key, TRIES));
  }

  close(): void {
    for (const key of [...this.timers.keys()]) this.clear(key);
    for (const role of [...this.segments.keys()]) this.drop(role);
  }

  private listen(role: string): void {
    const here = this.vips.filter((vip) => vip.interface === role);
    const addresses = here.flatMap(virtualOf);
    const link = this.links.find((one) => one.name === here[0]?.device);
    const mac = link === undefined ? null : parseMac(link.mac);
    const of = JSON.stringify([link?.index, link?.mac, addresses.map(({ text }) => text)]);
    if (this.segments.get(role)?.of === of) return;
    this.drop(role);
    if (link === undefined || mac === null || addresses.length === 0) return;
    const [four, six] = [4, 16].map((length) =>
      addresses.map(({ bytes }) => bytes).filter((bytes) => bytes.length === length),
    ) as [Uint8Array[], Uint8Array[]];
    const segment: Segment = { role, of, mac, sockets: [] };
    this.segments.set(role, segment);
    if (four.length > 0) this.open(segment, link, ETH_P_ARP, claimFilter(four), readClaim);
    if (six.length > 0) this.open(segment, link, ETH_P_IPV6, neighbourFilter(six), readNeighbourClaim);
  }

  private open(
    segment: Segment,
    { index, name }: LinkInfo,
    protocol: number,
    filter: Buffer,
    read: (frame: Uint8Array) => Claim,
  ): void {
    const { role } = segment;
    try {
      const socket = new PacketSocket({ ifindex: index, name }, protocol, filter);
      socket.receive(
        (frame) => this.onClaim(segment, read(frame)),
        // The link watch tells what became of the device.
        () => {},
      );
      segment.sockets.push(socket);
    } catch (error) {
      this.ports.warn(`duplicates on ${role} are not watched: ${messageOf(error)}`);
    }
  }

  private onClaim({ role, mac: own }: Segment, claim: Claim): void {
    if (claim === null) return;
    const address = formatIp(claim.address);
    const mac = Buffer.from(claim.mac).toString('hex').replace(/..\B/g, '$&:');
    if (Buffer.compare(Buffer.from(claim.mac), Buffer.from(own)) === 0) return;
    for (const vip of this.vips) {
      if (vip.interface !== role || !virtualOf(vip).some((one) => one.text === address)) continue;
      const key = vhidKey(vip);
      const now = this.ports.vhid(key);
      if (now?.state === 'BACKUP' && claim.address.length === 4) this.answered.add(key);
      if (now?.state === 'MASTER' && mac !== now.mac) this.onOther(vip, address, mac);
    }
  }

  // In mode `physical` a hand-over itself shows the address with two MACs, and ends this node's role in a moment.
  private onOther(vip: ResolvedVip, address: string, mac: string): void {
    if (vip.mac === 'virtual') this.ports.duplicate(vip, address, mac);
    else this.later(vhidKey(vip), HAND_OVER, () => this.ports.duplicate(vip, address, mac));
  }

  private probe(key: VhidKey): void {
    const vip = this.vips.find((one) => vhidKey(one) === key);
    const segment = vip === undefined ? undefined : this.segments.get(vip.interface);
    if (vip === undefined || segment === undefined) return;
    for (const { bytes } of virtualOf(vip)) {
      const four = bytes.length === 4;
      this.send(segment, four ? arpRequest(segment.mac, NOBODY, null, bytes) : neighbourProbe(segment.mac, bytes));
    }
  }

  // Unicast to the virtual MAC: a broadcast would also arrive where foreign MAC addresses are not let through.
  private question(key: VhidKey, left: number): void {
    const vip = this.vips.find((one) => vhidKey(one) === key);
    const segment = vip === undefined ? undefined : this.segments.get(vip.interface);
    const master = this.ports.peerLeads(key);
    const mac = this.ports.vhid(key)?.mac ?? '';
    const target = vip === undefined ? undefined : ipv4(vip)[0];
    const own = vip === undefined ? null : this.ownAddress(vip);
    const to = parseMac(mac);
    const can = vip?.mac === 'virtual' && segment && target && own && to && master !== null;
    if (!can) {
      this.later(key, QUESTION_EVERY, () => this.question(key, TRIES));
      return;
    }
    if (left === TRIES) this.answered.delete(key);
    if (left > 0 && !this.answered.has(key)) {
      this.send(segment, arpRequest(segment.mac, own, to, target.bytes));
      this.later(key, TRY_EVERY, () => this.question(key, left - 1));
      return;
    }
    this.ports.virtualMac(vip, target.text, mac, master, this.answered.has(key));
    this.later(key, QUESTION_EVERY, () => this.question(key, TRIES));
  }

  private ownAddress(vip: ResolvedVip): Uint8Array | null {
    const virtual = new Set(vip.addresses.map((cidr) => cidr.split('/')[0]));
    const link = this.links.find((one) => one.name === vip.device);
    return link?.addresses.find((a) => a.bytes.length === 4 && !virtual.has(a.address))?.bytes ?? null;
  }

  private send(segment: Segment, frame: Buffer): void {
    try {
      segment.sockets[0]?.send(frame);
    } catch {
      // link down: the election knows
    }
  }

  private drop(role: string): void {
    for (const socket of this.segments.get(role)?.sockets ?? []) socket.close();
    this.segments.delete(role);
  }

  private later(key: VhidKey, ms: number, act: () => void): void {
    const own = this.timers.get(key) ?? new Set();
    this.timers.set(key, own);
    if (own.size >= MOST_TIMERS) return;
    const timer = setTimeout(() => {
      own.delete(timer);
      act();
    }, ms);
    timer.unref();
    own.add(timer);
  }

  private clear(key: VhidKey): void {
    for (const timer of this.timers.get(key) ?? []) clearTimeout(timer);
    this.timers.delete(key);
  }
}

function virtualOf(vip: ResolvedVip): { bytes: Uint8Array; text: string }[] {
  return vip.addresses.flatMap((cidr) => {
    const bytes = addressBytes(cidr);
    return bytes === null ? [] : [{ bytes, text: formatIp(bytes) }];
  });
}

const ipv4 = (vip: ResolvedVip) => virtualOf(vip).filter(({ bytes }) => bytes.length === 4);

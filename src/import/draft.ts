/**
 * The configuration that an importer builds up: what carpio.toml will say, checked piece by piece as the loader will.
 */

import { virtualDevice } from '../config/devices.ts';
import {
  type Cidr,
  equalAddress,
  formatAddress,
  formatCidr,
  notAssignable,
  notUnicast,
  parseAddress,
  parseCidr,
} from '../net/cidr.ts';
import { isDevice, roleFrom } from './roles.ts';

export interface DraftVip {
  vhid: number;
  role: string;
  /** Canonical `address/prefix`. */
  addresses: string[];
  password: string;
  advbase: number;
  advskew: number;
  mac: 'virtual' | 'physical';
  peers: string[];
  /** Comments, one line each. */
  notes: string[];
}

export type DraftTrack = { name: string; weight: number; note: string } & (
  | { kind: 'link'; role: string }
  | { kind: 'script'; path: string; interval: number; timeout: number }
);

export interface DraftSync {
  role: string;
  peer: string | null;
  ignore: string[];
  defer: boolean;
  maxStates: number | null;
  notes: string[];
}

/** Limits of the schema. */
const MAX = { vips: 1024, addresses: 128, peers: 32, tracks: 64, ignore: 256 } as const;
export const MAX_PASSWORD = 20;

export class Draft {
  name = 'fw-a';
  nameNote = 'this box; the other one needs a name of its own';
  preempt = true;
  readonly interfaces = new Map<string, { device: string; note: string }>();
  readonly vips: DraftVip[] = [];
  readonly tracks: DraftTrack[] = [];
  sync: DraftSync | null = null;
  /** Rules come with the import. */
  rules = false;
  /** The configuration of the pair comes from this box. */
  source = false;
  /** Further comments for the end of the file. */
  readonly notes: string[] = [];
  /** role -> device, as the user gave them: they win. */
  readonly #given: ReadonlyMap<string, string>;

  constructor(given: ReadonlyMap<string, string> = new Map()) {
    this.#given = given;
  }

  /** The role that the user gave to this device of the old box, if any. */
  givenRole(device: string): string | null {
    return [...this.#given].find(([, other]) => other === device)?.[0] ?? null;
  }

  /** The device that the user gave to this role. */
  givenDevice(role: string): string | null {
    return this.#given.get(role) ?? null;
  }

  /** The role of a device; made when there is none yet. `null`: not a device name. */
  roleOfDevice(device: string, note = ''): string | null {
    for (const [role, known] of this.interfaces) if (known.device === device) return role;
    if (!isDevice(device)) return null;
    const role = this.givenRole(device) ?? roleFrom(device, new Set(this.interfaces.keys()));
    this.interfaces.set(role, { device, note });
    return role;
  }

  /** Has this vhid a place on that role? @returns null, or why not */
  refusesVip(vhid: number, role: string): string | null {
    if (!Number.isInteger(vhid) || vhid < 1 || vhid > 255) return `vhid ${vhid} is not in 1..255`;
    if (this.vips.length >= MAX.vips) return `more than ${MAX.vips} vhids`;
    if (this.vips.some((vip) => vip.vhid === vhid && vip.role === role))
      return `vhid ${vhid} is already used on ${role}`;
    const device = virtualDevice(vhid, role);
    const clash = this.vips.some((vip) => virtualDevice(vip.vhid, vip.role) === device);
    const named = [...this.interfaces.values()].some((known) => known.device === device);
    return clash || named ? `its virtual device would be called ${device}, and that name is taken` : null;
  }

  /** Adds an address to a vhid. @returns null, or why it cannot be one */
  addAddress(vip: DraftVip, cidr: Cidr): string | null {
    const odd = notAssignable(cidr);
    if (odd) return odd;
    if (vip.addresses.length >= MAX.addresses) return `more than ${MAX.addresses} addresses on vhid ${vip.vhid}`;
    const other = this.vips.find((one) => one.addresses.some((text) => equalAddress(parseCidr(text)!, cidr)));
    if (other) return `vhid ${other.vhid} on ${other.role} already has it`;
    if (vip.addresses.some((text) => equalAddress(parseCidr(text)!, cidr))) return 'this vhid already has it';
    vip.addresses.push(formatCidr(cidr));
    return null;
  }

  /** @returns null, or why it cannot be a peer */
  addPeer(vip: DraftVip, text: string): string | null {
    const address = parseAddress(text);
    if (!address) return 'not an address';
    const odd = notUnicast(address);
    if (odd) return odd;
    const canonical = formatAddress(address);
    if (vip.peers.includes(canonical)) return 'named twice';
    if (vip.peers.length >= MAX.peers) return `more than ${MAX.peers} peers`;
    vip.peers.push(canonical);
    return null;
  }

  /**
   * A vhid with peers needs one of each family that it has addresses of, and none may be a virtual address.
   * @returns the addresses and peers that had to go
   */
  settlePeers(vip: DraftVip): string[] {
    const own = vip.addresses.map((text) => formatAddress(parseCidr(text)!));
    const virtual = vip.peers.filter((peer) => own.includes(peer));
    vip.peers = vip.peers.filter((peer) => !own.includes(peer));
    if (vip.peers.length === 0) return virtual;
    const families = new Set(vip.peers.map((peer) => parseAddress(peer)!.family));
    const gone = vip.addresses.filter((text) => !families.has(parseCidr(text)!.family));
    vip.addresses = vip.addresses.filter((text) => families.has(parseCidr(text)!.family));
    return [...virtual, ...gone];
  }

  /** Adds a reason for demotion; the same one twice is one. @returns null, or why not */
  addTrack(track: DraftTrack): string | null {
    const same = this.tracks.find((other) => other.name === track.name);
    if (same)
      return JSON.stringify({ ...same, note: '' }) === JSON.stringify({ ...track, note: '' })
        ? null
        : `"${track.name}" is already tracked in another way`;
    if (this.tracks.length >= MAX.tracks) return `more than ${MAX.tracks} tracks`;
    this.tracks.push(track);
    return null;
  }

  /** @returns null, or why it cannot be the peer of the state sync */
  syncPeerTrouble(text: string): string | null {
    const address = parseAddress(text);
    if (!address) return 'not an address';
    const odd = notUnicast(address);
    if (odd) return odd;
    const virtual = this.vips.some((vip) => vip.addresses.some((own) => equalAddress(parseCidr(own)!, address)));
    return virtual ? 'it is a virtual address, not the own one of the peer' : null;
  }

  addIgnore(sync: DraftSync, text: string): string | null {
    const parsed = text.includes('/') ? parseCidr(text) : parseAddress(text);
    if (!parsed) return 'neither an address nor a network';
    if (sync.ignore.length >= MAX.ignore) return `more than ${MAX.ignore} networks`;
    if (!sync.ignore.includes(text)) sync.ignore.push(text);
    return null;
  }
}

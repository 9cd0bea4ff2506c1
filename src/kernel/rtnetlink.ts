/**
 * Network devices and addresses over rtnetlink: list, create, remove, up and down.
 *
 * Bodies (linux/if_link.h, linux/if_addr.h): ifinfomsg { u8 family, u8 0, u16 type, i32 index, u32 flags, u32 change };
 * ifaddrmsg { u8 family, u8 prefix length, u8 flags, u8 scope, u32 index }.
 */
import { formatIp, isLinkLocal6 } from '../net/ip.ts';
import { formatMac } from '../net/mac.ts';
import { Errno, Sock, SysError } from './libc.ts';
import {
  type AttributeTable,
  decode,
  type Message,
  MessageBuilder,
  NetlinkClient,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  parseAttributes,
} from './netlink.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

/** All of this product's virtual devices are in this group, so that one request removes them all. */
const DEVICE_GROUP = 0xca12;

const IFINFOMSG = 16;
const IFADDRMSG = 8;

const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const IFF_LOWER_UP = 0x10000;

const IFLA = {
  GROUP: 27,
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  LINKINFO: 18,
  IFALIAS: 20,
  AF_SPEC: 26,
  EXT_MASK: 29,
} as const;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_MACVLAN_MODE = 1;
const MACVLAN_MODE_BRIDGE = 4;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_MODE_NONE = 1;
const RTEXT_FILTER_SKIP_STATS = 8;

const LINK_TABLE = {
  mac: [IFLA.ADDRESS, 'bytes'],
  name: [IFLA.IFNAME, 'string'],
  mtu: [IFLA.MTU, 'u32'],
  parent: [IFLA.LINK, 'u32'],
  master: [10, 'u32'],
  operstate: [16, 'u8'],
  info: [IFLA.LINKINFO, 'nest'],
  alias: [IFLA.IFALIAS, 'string'],
  carrier: [33, 'u8'],
} as const satisfies AttributeTable;
const LINK_INFO_TABLE = {
  kind: [IFLA_INFO_KIND, 'string'],
  data: [IFLA_INFO_DATA, 'nest'],
} as const satisfies AttributeTable;
const MACVLAN_TABLE = { mode: [IFLA_MACVLAN_MODE, 'u32'] } as const satisfies AttributeTable;

/** linux/if.h, RFC 2863 operational states by number. */
const OPERSTATES = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'] as const;
type Operstate = (typeof OPERSTATES)[number];

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_PROTO = 11;
const ADDRESS_TABLE = {
  address: [IFA_ADDRESS, 'bytes'],
  local: [IFA_LOCAL, 'bytes'],
  flags: [IFA_FLAGS, 'u32'],
  proto: [IFA_PROTO, 'u8'],
} as const satisfies AttributeTable;

const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_PERMANENT = 0x80;
export const IFA_F_NOPREFIXROUTE = 0x200;

/** Marks addresses as ours (IFA_PROTO, Linux 5.18; older kernels ignore it): the number of CARP's IP protocol. */
const ADDRESS_PROTO_CARPIO = 112;

const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** administratively up (IFF_UP) */
  readonly up: boolean;
  /** up, and the lower layer says that frames can pass (IFF_LOWER_UP) */
  readonly carrier: boolean;
  readonly operstate: Operstate;
  readonly flags: number;
  /** aa:bb:cc:dd:ee:ff, or '' for a device without */
  readonly mac: string;
  /** 'macvlan', 'veth', …; '' for hardware */
  readonly kind: string;
  /** 'bridge' and so on for a macvlan, else null */
  readonly macvlanMode: number | null;
  /** index of the device this one stands on (macvlan, vlan; for a veth its peer), 0: none */
  readonly parent: number;
  /** index of the bridge or bond this one belongs to, 0: none */
  readonly master: number;
  readonly mtu: number;
  readonly alias: string;
}

export interface Address {
  readonly index: number;
  /** text without prefix length */
  readonly address: string;
  readonly bytes: Uint8Array;
  readonly prefix: number;
  readonly flags: number;
  readonly tentative: boolean;
  /** carries this project's mark (Linux 5.18 or later) */
  readonly ours: boolean;
}

/** A link from RTM_NEWLINK or RTM_DELLINK, or null when the message is none or too short. */
export function parseLink(message: Message): Link | null {
  const { payload } = message;
  if ((message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) || payload.length < IFINFOMSG) return null;
  const found = decode(LINK_TABLE, parseAttributes(payload, IFINFOMSG));
  if (found.name === undefined) return null;
  const flags = payload.readUInt32LE(8);
  const info = found.info === undefined ? {} : decode(LINK_INFO_TABLE, found.info);
  const kind = info.kind ?? '';
  return {
    index: payload.readInt32LE(4),
    name: found.name,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_UP) !== 0 && (flags & IFF_LOWER_UP) !== 0 && (flags & IFF_RUNNING) !== 0,
    operstate: OPERSTATES[found.operstate ?? 0] ?? 'unknown',
    flags,
    mac: found.mac === undefined ? '' : formatMac(found.mac),
    kind,
    macvlanMode: kind === 'macvlan' && info.data !== undefined ? (decode(MACVLAN_TABLE, info.data).mode ?? null) : null,
    parent: found.parent ?? 0,
    master: found.master ?? 0,
    mtu: found.mtu ?? 0,
    alias: found.alias ?? '',
  };
}

/** An address from RTM_NEWADDR or RTM_DELADDR, or null. For IPv4 the local one counts (IFA_ADDRESS may be a peer's). */
export function parseAddress(message: Message): Address | null {
  const { payload } = message;
  if ((message.type !== RTM_NEWADDR && message.type !== RTM_DELADDR) || payload.length < IFADDRMSG) return null;
  const found = decode(ADDRESS_TABLE, parseAttributes(payload, IFADDRMSG));
  const bytes = found.local ?? found.address;
  const expected = payload.readUInt8(0) === Sock.AF_INET ? 4 : 16;
  if (bytes === undefined || bytes.length !== expected) return null;
  const flags = found.flags ?? payload.readUInt8(2);
  return {
    index: payload.readUInt32LE(4),
    address: formatIp(bytes),
    bytes,
    prefix: payload.readUInt8(1),
    flags,
    tentative: (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) !== 0,
    ours: found.proto === ADDRESS_PROTO_CARPIO,
  };
}

function ifinfo(index: number, flags = 0, change = 0): Buffer {
  const body = Buffer.alloc(IFINFOMSG);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(flags, 8);
  body.writeUInt32LE(change, 12);
  return body;
}

/** RTM_NEWLINK for a macvlan in mode bridge, down, without an own link-local address, marked by its alias. */
export function macvlanMessage(want: { name: string; parent: number; mac: Uint8Array; alias: string }): MessageBuilder {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  return new MessageBuilder(RTM_NEWLINK, flags, ifinfo(0))
    .string(IFLA.IFNAME, want.name)
    .u32(IFLA.LINK, want.parent)
    .attr(IFLA.ADDRESS, want.mac)
    .nest(IFLA.LINKINFO, (info) =>
      info
        .string(IFLA_INFO_KIND, 'macvlan')
        .nest(IFLA_INFO_DATA, (data) => data.u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE)),
    );
}

/** Settings that RTM_NEWLINK does not take while it creates a device: the alias, and no address made from the MAC. */
export function settleMessage(index: number, alias: string): MessageBuilder {
  return new MessageBuilder(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfo(index))
    .attr(IFLA.IFALIAS, Buffer.from(alias))
    .u32(IFLA.GROUP, DEVICE_GROUP)
    .nest(IFLA.AF_SPEC, (spec) =>
      spec.nest(Sock.AF_INET6, (inet6) => inet6.u8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE)),
    );
}

interface AddressOptions {
  /** leave out the connected route: the parent's own address already gives one for this subnet */
  readonly noPrefixRoute?: boolean;
}

/** RTM_NEWADDR or RTM_DELADDR for one address without a peer, without duplicate address detection. */
export function addressMessage(
  type: typeof RTM_NEWADDR | typeof RTM_DELADDR,
  index: number,
  bytes: Uint8Array,
  prefix: number,
  options: AddressOptions = {},
): MessageBuilder {
  const body = Buffer.alloc(IFADDRMSG);
  body.writeUInt8(bytes.length === 4 ? Sock.AF_INET : Sock.AF_INET6, 0);
  body.writeUInt8(prefix, 1);
  body.writeUInt8(isLinkLocal6(bytes) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 3);
  body.writeUInt32LE(index, 4);
  const creating = type === RTM_NEWADDR;
  const message = new MessageBuilder(
    type,
    NLM_F_REQUEST | NLM_F_ACK | (creating ? NLM_F_CREATE | NLM_F_REPLACE : 0),
    body,
  );
  message.attr(IFA_LOCAL, bytes).attr(IFA_ADDRESS, bytes);
  if (!creating) return message;
  const flags = IFA_F_PERMANENT | IFA_F_NODAD | (options.noPrefixRoute ? IFA_F_NOPREFIXROUTE : 0);
  return message.u32(IFA_FLAGS, flags).u8(IFA_PROTO, ADDRESS_PROTO_CARPIO);
}

/** RTM_DELLINK for one device. */
export function deleteMessage(index: number): MessageBuilder {
  return new MessageBuilder(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfo(index));
}

export function mtuMessage(index: number, mtu: number): MessageBuilder {
  return new MessageBuilder(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfo(index)).u32(IFLA.MTU, mtu);
}

/** RTM_NEWLINK that sets a device up or down. */
export function upMessage(index: number, up: boolean): MessageBuilder {
  return new MessageBuilder(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfo(index, up ? IFF_UP : 0, IFF_UP));
}

/** Everything throws SysError with a message that names the device and the address. */
export class Rtnetlink {
  readonly #client = new NetlinkClient(0);

  close(): void {
    this.#client.close();
  }

  links(): Link[] {
    const message = new MessageBuilder(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, ifinfo(0));
    message.u32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    return this.#client.dump(message, 'list network devices').flatMap((answer) => parseLink(answer) ?? []);
  }

  link(name: string): Link | null {
    return this.links().find((link) => link.name === name) ?? null;
  }

  addresses(): Address[] {
    const message = new MessageBuilder(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, Buffer.alloc(IFADDRMSG));
    return this.#client.dump(message, 'list addresses').flatMap((answer) => parseAddress(answer) ?? []);
  }

  /** Makes a macvlan (mode bridge, down) and returns it. Nothing is left behind when a step fails. */
  createMacvlan(want: { name: string; parent: number; mac: Uint8Array; alias: string }): Link {
    const attempted = `create macvlan ${want.name} (${formatMac(want.mac)}) on device index ${want.parent}`;
    this.#client.request(macvlanMessage(want), attempted);
    const made = this.link(want.name);
    if (made === null) throw new SysError(attempted, Errno.ENODEV, 'it vanished at once');
    try {
      this.settle(made.index, want.alias, want.name);
    } catch (error) {
      this.deleteLink(made.index, want.name);
      throw error;
    }
    return { ...made, alias: want.alias };
  }

  /** Sets the alias that marks a device as ours and turns off its self-made link-local address. */
  settle(index: number, alias: string, name: string): void {
    this.#client.request(settleMessage(index, alias), `set the alias and address mode of ${name}`);
  }

  /** Removes a device; one that is gone already is fine. */
  deleteLink(index: number, name: string): void {
    ignore([Errno.ENODEV], () => this.#client.request(deleteMessage(index), `delete device ${name}`));
  }

  /** Sets a device up or down: one system call and its acknowledgement. */
  setUp(index: number, up: boolean, name: string): void {
    this.#client.request(upMessage(index, up), `set ${name} ${up ? 'up' : 'down'}`);
  }

  /** Adds an address or, if it is there, brings its flags in line. */
  addAddress(index: number, bytes: Uint8Array, prefix: number, name: string, options: AddressOptions = {}): void {
    this.#client.request(
      addressMessage(RTM_NEWADDR, index, bytes, prefix, options),
      `add ${formatIp(bytes)}/${prefix} to ${name}`,
    );
  }

  /** Removes an address; one that is not there is fine. */
  deleteAddress(index: number, bytes: Uint8Array, prefix: number, name: string): void {
    ignore([Errno.EADDRNOTAVAIL, Errno.ENODEV], () =>
      this.#client.request(
        addressMessage(RTM_DELADDR, index, bytes, prefix),
        `remove ${formatIp(bytes)}/${prefix} from ${name}`,
      ),
    );
  }
}

function ignore(errors: readonly number[], run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof SysError) || !errors.includes(error.errno)) throw error;
  }
}

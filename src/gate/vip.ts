/**
 * A virtual host's device and addresses in the kernel.
 *
 * Mode `virtual`: a macvlan with the MAC 00:00:5e:00:01:vhid, up on both nodes ("armed") behind its gate (table.ts), so
 * that a role change waits for no device. Mode `physical`: the NIC itself.
 *
 * The addresses stand there only while the gate is open: an address on a device that is up is local to this kernel, and
 * a backup must reach the virtual address at the master (DNS, NTP, monitoring).
 */
import { createHash } from 'node:crypto';
import type { DeviceWork } from '../kernel/device-work.ts';
import { type Address, IFA_F_NOPREFIXROUTE, type Link, type Rtnetlink } from '../kernel/rtnetlink.ts';
import { Sysctls } from '../kernel/sysctl.ts';
import { formatIp, type Prefix, parsePrefix, samePrefix } from '../net/ip.ts';
import { parseMac, virtualMac } from '../net/mac.ts';
import { type Announced, Announcer } from './announce.ts';

const NAME_LIMIT = 15; // IFNAMSIZ - 1
const HASH_CHARS = 4;
const ALIAS_PREFIX = 'carpio ';
const NAME_PATTERN = /^carp\d{1,3}-/;
const MACVLAN_MODE_BRIDGE = 4;

export interface VipSpec {
  /** this node's name: marks its devices */
  readonly node: string;
  readonly vhid: number;
  /** name of the interface's role */
  readonly role: string;
  readonly mode: 'virtual' | 'physical';
  /** name of the parent NIC */
  readonly parent: string;
  /** `address/prefix length` */
  readonly addresses: readonly string[];
}

/**
 * Name of the macvlan of a vhid on a role: `carp<vhid>-<role>`. A name over 15 characters is cut and ends in a hash of
 * the role, so that two long roles do not meet.
 */
export function macvlanName(vhid: number, role: string): string {
  const name = `carp${vhid}-${role}`;
  if (Buffer.byteLength(name) <= NAME_LIMIT && /^[\x21-\x7e]+$/.test(name) && !/[/:]/.test(name)) return name;
  const hash = createHash('sha256').update(role).digest('hex').slice(0, HASH_CHARS);
  const plain = name.replace(/[^a-zA-Z0-9._-]/g, '_');
  return plain.slice(0, NAME_LIMIT - HASH_CHARS) + hash;
}

/** What an earlier run (kill -9) left behind and this configuration does not want. */
interface Leftovers {
  readonly devices: readonly Link[];
  /** addresses that were put on a NIC (mode `physical`) */
  readonly addresses: readonly Address[];
}

/**
 * Devices are recognised by kind, name and alias; addresses by their mark, or (before Linux 5.18) by being a configured
 * virtual address on something that is not a device of ours.
 * @param wanted the specs of this configuration; their macvlans are not leftovers, VipDevice.prepare takes them over
 */
export function findLeftovers(
  links: readonly Link[],
  addresses: readonly Address[],
  wanted: readonly VipSpec[],
): Leftovers {
  const keep = new Set(
    wanted.filter((spec) => spec.mode === 'virtual').map((spec) => macvlanName(spec.vhid, spec.role)),
  );
  const ours = links.filter(isOurDevice);
  const ourIndexes = new Set(ours.map((link) => link.index));
  const virtual = new Set(wanted.flatMap((spec) => spec.addresses.map((text) => canonical(text))));
  return {
    devices: ours.filter((link) => !keep.has(link.name)),
    addresses: addresses.filter(
      (address) =>
        !ourIndexes.has(address.index) && (address.ours || virtual.has(`${address.address}/${address.prefix}`)),
    ),
  };
}

function isOurDevice(link: Link): boolean {
  return link.kind === 'macvlan' && NAME_PATTERN.test(link.name) && link.alias.startsWith(ALIAS_PREFIX);
}

function canonical(text: string): string {
  const prefix = parsePrefix(text);
  return prefix === null ? text : `${formatIp(prefix.bytes)}/${prefix.length}`;
}

/** Removes leftovers. Rejects with SysError at the first that cannot be removed. */
export async function removeLeftovers(rtnl: Rtnetlink, work: DeviceWork, leftovers: Leftovers): Promise<void> {
  for (const link of leftovers.devices) await work.deleteLink(link.index, link.name);
  for (const address of leftovers.addresses) {
    rtnl.deleteAddress(address.index, address.bytes, address.prefix, `device index ${address.index}`);
  }
}

export class VipDevice {
  readonly #rtnl: Rtnetlink;
  readonly #work: DeviceWork;
  readonly #sysctls: Sysctls;
  readonly #announcer = new Announcer();
  /** Settings of the virtual device: they vanish with it, nothing is to be remembered. */
  readonly own = new Sysctls();
  #spec: VipSpec;
  #prefixes: readonly Prefix[] = [];
  #ifindex = 0;
  #mac: Uint8Array = new Uint8Array(6);
  #covered: ReadonlySet<Prefix> = new Set();
  #isUp = false;
  #isArmed = false;

  /** @param sysctls shared by all devices of the node; `restore()` it after the last `remove()` */
  constructor(rtnl: Rtnetlink, work: DeviceWork, sysctls: Sysctls, spec: VipSpec) {
    this.#rtnl = rtnl;
    this.#work = work;
    this.#sysctls = sysctls;
    this.#spec = spec;
  }

  /** The device that adverts and announcements leave through: the macvlan, or the NIC. */
  get device(): string {
    return this.#spec.mode === 'virtual' ? macvlanName(this.#spec.vhid, this.#spec.role) : this.#spec.parent;
  }

  /** Index of `device`; 0 before `prepare`. */
  get ifindex(): number {
    return this.#ifindex;
  }

  /** What is announced: the virtual MAC, or the NIC's own. */
  get mac(): Uint8Array {
    return this.#mac;
  }

  /** Whether the addresses are to be on the device (`up` was called last). */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Whether the device may be up: its gate stands. */
  get isArmed(): boolean {
    return this.#isArmed;
  }

  get prefixes(): readonly Prefix[] {
    return this.#prefixes;
  }

  /**
   * Brings the kernel to the wanted state: device made or taken over, addresses exactly those of the spec when `up` was
   * called last and none otherwise. A macvlan that is not armed is down, also if an earlier run left it up.
   * @param spec a changed spec of the same vhid, role and mode
   * Calls must not overlap. Rejects with SysError or Error that names the device, address or setting.
   */
  async prepare(spec: VipSpec = this.#spec): Promise<void> {
    this.#spec = spec;
    this.#prefixes = spec.addresses.map((text) => {
      const prefix = parsePrefix(text);
      if (prefix === null) throw new Error(`vhid ${spec.vhid}: ${text} is not an address with a prefix length`);
      return prefix;
    });
    const links = this.#rtnl.links();
    const parent = links.find((link) => link.name === spec.parent);
    if (parent === undefined) throw new Error(`vhid ${spec.vhid}: there is no device ${spec.parent}`);
    const addresses = this.#rtnl.addresses();
    this.#covered = coveredBy(
      this.#prefixes,
      addresses.filter((address) => address.index === parent.index),
    );
    if (spec.mode === 'virtual') await this.#prepareMacvlan(parent, links, addresses);
    else this.#preparePhysical(parent, addresses);
  }

  /** The gate of this device stands: it may be up. Resolves with null, or what failed; never rejects. */
  async arm(): Promise<Error | null> {
    if (this.#isArmed) return null;
    this.#isArmed = true;
    if (this.#spec.mode !== 'virtual') return null;
    return attemptAside(this.#work.setUp(this.#ifindex, true, this.device));
  }

  /** The gate has opened: puts the addresses on the device. Returns null, or what failed; never throws. */
  up(): Error | null {
    this.#isUp = true;
    return attempt(() => {
      if (this.#ifindex === 0) throw new Error(`vhid ${this.#spec.vhid}: ${this.device} was not prepared`);
      this.#addAddresses();
    });
  }

  /** The gate has closed: takes the addresses away. Returns null, or what failed; never throws. */
  down(): Error | null {
    this.#isUp = false;
    return attempt(() => {
      if (this.#ifindex !== 0) this.#deleteAddresses(this.#prefixes);
    });
  }

  /** Leaves nothing behind. Resolves with null, or what failed; never rejects. */
  async remove(): Promise<Error | null> {
    const failed = this.down();
    this.#isArmed = false;
    this.#announcer.close();
    if (this.#spec.mode !== 'virtual' || this.#ifindex === 0) return failed;
    this.#sysctls.forgetDevice(this.device);
    const index = this.#ifindex;
    this.#ifindex = 0;
    return (await attemptAside(this.#work.deleteLink(index, this.device))) ?? failed;
  }

  /** Gratuitous ARP and unsolicited neighbour advertisements for all addresses. Never throws. */
  announce(router: boolean): Announced {
    return this.#announcer.announce(
      { ifindex: this.#ifindex, name: this.device, mac: this.#mac },
      this.#prefixes.map((prefix) => prefix.bytes),
      router,
    );
  }

  async #prepareMacvlan(parent: Link, links: readonly Link[], addresses: readonly Address[]): Promise<void> {
    const { vhid, node } = this.#spec;
    const name = this.device;
    this.#mac = virtualMac(vhid);
    this.#settleParent(parent.name);
    let found = links.find((link) => link.name === name);
    if (found !== undefined && !this.#usable(found, parent)) {
      if (!isOurDevice(found))
        throw new Error(`vhid ${vhid}: a device ${name} exists that is not ours (remove or rename it)`);
      await this.#work.deleteLink(found.index, name);
      found = undefined;
    }
    const alias = ALIAS_PREFIX + node;
    if (found === undefined) {
      // Its gate has to be made anew, too.
      this.#isArmed = false;
      found = await this.#work.createMacvlan({ name, parent: parent.index, mac: this.#mac, alias });
    } else {
      if (found.up && !this.#isArmed) await this.#work.setUp(found.index, false, name);
      if (found.alias !== alias) await this.#work.settle(found.index, alias, name);
      // The kernel lowers a macvlan's MTU with its parent's, and never raises it again.
      if (found.mtu !== parent.mtu) await this.#work.setMtu(found.index, parent.mtu, name);
    }
    this.#ifindex = found.index;
    this.#settleMacvlan(name);
    this.#deleteOthers(addresses.filter((address) => address.index === found.index));
    if (this.#isUp) this.#addAddresses();
    if (this.#isArmed && !found.up) await this.#work.setUp(found.index, true, name);
  }

  #usable(found: Link, parent: Link): boolean {
    return (
      isOurDevice(found) &&
      found.parent === parent.index &&
      found.macvlanMode === MACVLAN_MODE_BRIDGE &&
      parseMac(found.mac)?.join() === this.#mac.join()
    );
  }

  #preparePhysical(parent: Link, addresses: readonly Address[]): void {
    if (this.#ifindex !== parent.index) this.#isArmed = false;
    this.#ifindex = parent.index;
    this.#mac = parseMac(parent.mac) ?? this.#mac;
    // Without it the kernel removes an address's younger neighbours of the same subnet together with it.
    this.#sysctls.set(['net', 'ipv4', 'conf', parent.name, 'promote_secondaries'], '1');
    if (this.#isUp) {
      this.#addAddresses();
      return;
    }
    const wanted = new Set(this.#prefixes.map(textOf));
    const left = addresses.filter((address) => address.index === parent.index && wanted.has(textOf(asPrefix(address))));
    this.#deleteAddresses(left.map(asPrefix));
  }

  // What the parent's settings must be while a macvlan with a virtual address stands on it.
  #settleParent(parent: string): void {
    const conf = (setting: string): string[] => ['net', 'ipv4', 'conf', parent, setting];
    // Or else the NIC's own MAC answers ARP for the virtual address too, and first.
    this.#sysctls.atLeast(conf('arp_ignore'), 1);
    // Or else ARP requests for translated traffic name the virtual address with the NIC's own MAC as their sender.
    this.#sysctls.atLeast(conf('arp_announce'), 2);
    this.#sysctls.loosenReversePath(parent);
  }

  #settleMacvlan(name: string): void {
    const { own } = this;
    const four = (setting: string): string[] => ['net', 'ipv4', 'conf', name, setting];
    // Or else the virtual MAC answers ARP for the NIC's own address.
    own.atLeast(four('arp_ignore'), 1);
    own.atLeast(four('arp_announce'), 2);
    own.loosenReversePath(name);
    const six = (setting: string): string[] => ['net', 'ipv6', 'conf', name, setting];
    if (!this.#prefixes.some((prefix) => prefix.bytes.length === 16)) {
      own.setIfPresent(six('disable_ipv6'), '1'); // no router advertisement shall put a route here
      return;
    }
    own.set(six('disable_ipv6'), '0');
    own.set(six('accept_dad'), '0');
    own.set(six('accept_ra'), '0');
  }

  #addAddresses(): void {
    for (const prefix of this.#prefixes) {
      this.#rtnl.addAddress(this.#ifindex, prefix.bytes, prefix.length, this.device, {
        noPrefixRoute: this.#covered.has(prefix),
      });
    }
  }

  #deleteAddresses(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) this.#rtnl.deleteAddress(this.#ifindex, prefix.bytes, prefix.length, this.device);
  }

  // On the macvlan only the wanted addresses may stand, and only while the gate is open: others are an earlier run's or
  // configuration's. One whose route flag is wrong goes too, because the kernel cannot change it.
  #deleteOthers(present: readonly Address[]): void {
    const prefixes = this.#isUp ? this.#prefixes : [];
    const wanted = new Map(prefixes.map((prefix) => [textOf(prefix), this.#covered.has(prefix)]));
    const wrong = present.filter(
      (address) => wanted.get(textOf(asPrefix(address))) !== ((address.flags & IFA_F_NOPREFIXROUTE) !== 0),
    );
    this.#deleteAddresses(wrong.map(asPrefix));
  }
}

const textOf = (prefix: Prefix): string => `${formatIp(prefix.bytes)}/${prefix.length}`;
const asPrefix = (address: Address): Prefix => ({ bytes: address.bytes, length: address.prefix });

/**
 * Those of `prefixes` whose subnet the parent reaches already by an address of its own: a second route would only
 * confuse.
 */
function coveredBy(prefixes: readonly Prefix[], own: readonly Address[]): Set<Prefix> {
  const virtual = new Set(prefixes.map(textOf));
  const real = own.filter((address) => !address.ours && !virtual.has(textOf(asPrefix(address))));
  return new Set(
    prefixes.filter((prefix) =>
      real.some(
        (address) => address.prefix <= prefix.length && samePrefix(address.bytes, prefix.bytes, address.prefix),
      ),
    ),
  );
}

function attempt(run: () => void): Error | null {
  try {
    run();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function attemptAside(work: Promise<void>): Promise<Error | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

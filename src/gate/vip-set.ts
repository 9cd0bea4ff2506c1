/** The virtual addresses of all vhids in the kernel: made, brought up and down with the role, announced, let go. */

import { join } from 'node:path';
import type { Adverts, LastWord } from '../carp/adverts.ts';
import { sourcesOf } from '../carp/group-config.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import { guardLimitUs } from '../contract/carp-timers.ts';
import type { Logger } from '../contract/log.ts';
import { messageOf } from '../contract/message-of.ts';
import { type VhidKey, vhidKey } from '../contract/vhid-key.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { Rtnetlink } from '../kernel/rtnetlink.ts';
import { readSysctl, Sysctls } from '../kernel/sysctl.ts';
import { formatIp, parsePrefix } from '../net/ip.ts';
import type { GuardedVhid } from './guardian/messages.ts';
import type { VipSpec } from './vip.ts';
import { findLeftovers, removeLeftovers, VipDevice } from './vip.ts';

interface Entry {
  device: VipDevice;
  vip: ResolvedVip;
  /** What the device was made of: with anything else it is made anew. */
  frame: string;
  settings: string;
}

/** A virtual host as status shows it. */
export interface VipFacts {
  vip: ResolvedVip;
  /** The device that carries the addresses while MASTER. */
  device: string;
  mac: string;
  /** ISO time of the last role change. */
  since: string;
}

/** Who takes the addresses away when this process no longer can. */
interface VipGuard {
  set(vhid: GuardedVhid): void;
  drop(key: VhidKey): void;
}

function guarded(vip: ResolvedVip, device: VipDevice, lastWords: LastWord[], paired: boolean): GuardedVhid {
  const addresses = vip.addresses.flatMap((text) => {
    const prefix = parsePrefix(text);
    return prefix === null ? [] : [{ bytes: Buffer.from(prefix.bytes).toString('hex'), prefix: prefix.length }];
  });
  return {
    key: vhidKey(vip),
    limitUs: guardLimitUs(vip.advbase, vip.advskew, paired),
    device: { index: device.ifindex, name: device.device },
    addresses: vip.mac === 'virtual' ? null : addresses,
    lastWords,
  };
}

export class VipSet {
  /** By vhid key, for the status. */
  readonly facts = new Map<VhidKey, VipFacts>();
  private readonly node: string;
  private readonly adverts: Adverts;
  private readonly guard: VipGuard;
  private readonly log: Logger;
  private readonly rtnl = new Rtnetlink();
  private readonly sysctls: Sysctls;
  private readonly entries = new Map<VhidKey, Entry>();
  private paired = false;

  /** @param runDir where changed kernel settings are remembered over a kill -9 */
  constructor({ node, runDir }: { node: string; runDir: string }, adverts: Adverts, guard: VipGuard, log: Logger) {
    this.node = node;
    this.sysctls = new Sysctls(join(runDir, 'sysctl-vip.json'));
    this.adverts = adverts;
    this.guard = guard;
    this.log = log;
  }

  /**
   * Brings devices and addresses to what the configuration wants. A vhid that has not changed is not touched; what an
   * earlier run left behind (kill -9) is taken over or removed.
   * @throws Error that names the device or address
   */
  apply(vips: readonly ResolvedVip[], links: readonly LinkInfo[]): void {
    const specs = vips.map((vip) => this.spec(vip));
    const addresses = this.rtnl.addresses();
    const leftovers = findLeftovers(this.rtnl.links(), addresses, [...specs, ...this.upPhysical()]);
    removeLeftovers(this.rtnl, this.entries.size === 0 ? leftovers : { devices: leftovers.devices, addresses: [] });
    const wanted = new Set(vips.map(vhidKey));
    for (const key of [...this.entries.keys()]) if (!wanted.has(key)) this.drop(key);
    vips.forEach((vip, i) => {
      this.set(vip, specs[i] ?? this.spec(vip), links);
    });
  }

  /** The role has changed: the addresses follow. Returns what failed, in one line, or null. */
  onRole(key: VhidKey, master: boolean): string | null {
    const entry = this.entries.get(key);
    const facts = this.facts.get(key);
    if (facts !== undefined) facts.since = new Date().toISOString();
    if (entry === undefined) return null;
    const failed = master ? entry.device.up() : entry.device.down();
    if (failed === null) return null;
    this.log.error(`${key}: ${failed.message}`);
    return failed.message;
  }

  /** Gives the guardian what it must know of every vhid once more. */
  guardAll(): void {
    for (const [key, { vip, device }] of this.entries)
      this.guard.set(guarded(vip, device, this.adverts.lastWords(key), this.paired));
  }

  /** Whether the peer would take over early: then the guardian must not be later. */
  setPaired(paired: boolean): void {
    if (paired === this.paired) return;
    this.paired = paired;
    this.guardAll();
  }

  announce(key: VhidKey, reason: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    const { failed } = entry.device.announce(readSysctl(['net', 'ipv6', 'conf', 'all', 'forwarding']) === '1');
    for (const error of failed) this.log.warning(`announce ${key} (${reason}): ${error.message}`);
  }

  /**
   * What is missing of a vhid that is MASTER, as the kernel says now: somebody took its device or an address away.
   * @param links as last announced; only when they look wrong is the kernel asked again
   */
  faults(links: readonly LinkInfo[]): { key: VhidKey; reason: string }[] {
    const suspects = [...this.entries].filter(([, entry]) => entry.device.isUp && missing(entry, links) !== null);
    if (suspects.length === 0) return [];
    const fresh = this.rtnl.links();
    const addresses = this.rtnl.addresses();
    const now = fresh.map((link) => ({ ...link, addresses: addresses.filter((a) => a.index === link.index) }));
    return suspects.flatMap(([key, entry]) => {
      // Without its NIC the vhid is out of work anyway, and the election knows why.
      if (!now.some((link) => link.name === entry.vip.device)) return [];
      const reason = missing(entry, now);
      return reason === null ? [] : [{ key, reason }];
    });
  }

  /** Brings back what was taken away. Returns what failed, in one line, or null. */
  repair(key: VhidKey, links: readonly LinkInfo[]): string | null {
    const entry = this.entries.get(key);
    if (entry === undefined) return null;
    try {
      entry.settings = '';
      this.set(entry.vip, this.spec(entry.vip), links);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Devices or addresses have changed: a device that came back (a NIC that was pulled) gets its virtual one again. */
  onLinks(vips: readonly ResolvedVip[], links: readonly LinkInfo[]): void {
    for (const vip of vips) {
      const entry = this.entries.get(vhidKey(vip));
      if (entry === undefined) continue;
      const parent = links.some((link) => link.name === vip.device);
      const own = links.some((link) => link.name === entry.device.device);
      if (parent && !own) {
        entry.settings = '';
        this.tryToSet(vip, links);
      } else if (parent && JSON.stringify(sourcesOf(vip, links)) !== entry.settings) this.tryToSet(vip, links);
    }
  }

  close(): void {
    for (const key of [...this.entries.keys()]) this.drop(key);
    for (const error of this.sysctls.restore()) this.log.warning(error.message);
    this.rtnl.close();
  }

  private tryToSet(vip: ResolvedVip, links: readonly LinkInfo[]): void {
    try {
      this.set(vip, this.spec(vip), links);
    } catch (error) {
      this.log.error(`${vhidKey(vip)}: ${messageOf(error)}`);
    }
  }

  private set(vip: ResolvedVip, spec: VipSpec, links: readonly LinkInfo[]): void {
    const key = vhidKey(vip);
    const frame = `${spec.mode} ${spec.parent}`;
    if (this.entries.get(key)?.frame !== frame) this.drop(key);
    const before = this.entries.get(key);
    const settings = JSON.stringify(sourcesOf(vip, links));
    const same = before !== undefined && sameVip(before.vip, vip) && before.settings === settings;
    if (same) return;
    const device = before?.device ?? new VipDevice(this.rtnl, this.sysctls, spec);
    device.prepare(spec);
    this.entries.set(key, { device, vip, frame, settings });
    this.adverts.setVhid(vip, device.device, sourcesOf(vip, links));
    this.guard.set(guarded(vip, device, this.adverts.lastWords(key), this.paired));
    this.facts.set(key, {
      vip,
      device: device.device,
      mac: Buffer.from(device.mac).toString('hex').replace(/..\B/g, '$&:'),
      since: this.facts.get(key)?.since ?? new Date().toISOString(),
    });
  }

  private drop(key: VhidKey): void {
    const failed = this.entries.get(key)?.device.remove() ?? null;
    if (failed !== null) this.log.warning(failed.message);
    this.entries.delete(key);
    this.facts.delete(key);
    this.adverts.dropVhid(key);
    this.guard.drop(key);
  }

  private spec(vip: ResolvedVip): VipSpec {
    const { vhid, mac, addresses } = vip;
    return { node: this.node, vhid, role: vip.interface, mode: mac, parent: vip.device, addresses };
  }

  // Addresses of mode `physical` that stand on a NIC because this node is master are no leftovers.
  private upPhysical(): VipSpec[] {
    return [...this.entries.values()]
      .filter((e) => e.device.isUp && e.vip.mac === 'physical')
      .map((e) => this.spec(e.vip));
  }
}

/** What the kernel lacks of a vhid's device and addresses, in words; null: nothing. */
function missing({ device, vip }: Entry, links: readonly LinkInfo[]): string | null {
  const link = links.find((one) => one.name === device.device);
  if (link === undefined) return `device ${device.device} was removed`;
  if (!link.up) return `device ${device.device} was set down`;
  const present = new Set(link.addresses.map((a) => canonicalPrefix(`${a.address}/${a.prefix}`)));
  const lost = vip.addresses.find((cidr) => !present.has(canonicalPrefix(cidr)));
  return lost === undefined ? null : `address ${lost} was removed from ${device.device}`;
}

function canonicalPrefix(text: string): string {
  const prefix = parsePrefix(text);
  return prefix === null ? text : `${formatIp(prefix.bytes)}/${prefix.length}`;
}

/** Secrets compare by content; they print as nothing. */
function sameVip(a: ResolvedVip, b: ResolvedVip): boolean {
  return a.password.equals(b.password) && JSON.stringify(a) === JSON.stringify(b);
}

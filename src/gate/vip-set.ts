/**
 * The virtual hosts of all vhids in the kernel: devices made and armed, addresses that follow the gate,
 * announcements.
 */

import { join } from 'node:path';
import type { Adverts } from '../carp/adverts.ts';
import { sourcesOf } from '../carp/group-config.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Logger } from '../contract/log.ts';
import { messageOf } from '../contract/message-of.ts';
import { type VhidKey, vhidKey } from '../contract/vhid-key.ts';
import { DeviceWork } from '../kernel/device-work.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { Rtnetlink } from '../kernel/rtnetlink.ts';
import { readSysctl, type SettingChanged, Sysctls } from '../kernel/sysctl.ts';
import { formatIp, parsePrefix } from '../net/ip.ts';
import type { GateHost } from './kernel-gate.ts';
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
  /** The device that carries the addresses while the gate is open. */
  device: string;
  mac: string;
  /** ISO time of the last role change. */
  since: string;
}

interface VipPorts {
  readonly adverts: Adverts;
  /** Loads the gate for these hosts; null, or why it could not. */
  loadGate(hosts: readonly GateHost[]): Promise<string | null>;
  /** A device is another one under the same name: what is loaded does not hang on it. */
  forgetGate(): void;
  isOpen(key: VhidKey): boolean;
  /** Something that a vhid needs is missing. */
  fault(key: VhidKey, reason: string): void;
  readonly log: Logger;
}

/** The longest that a device waits for the bow-out that leaves by it, ms. */
const BOW_OUT_MS = 50;

export class VipSet {
  /** By vhid key, for the status. */
  readonly facts = new Map<VhidKey, VipFacts>();
  private readonly node: string;
  private readonly ports: VipPorts;
  private readonly rtnl = new Rtnetlink();
  private readonly sysctls: Sysctls;
  private readonly work = new DeviceWork(this.rtnl);
  private readonly entries = new Map<VhidKey, Entry>();
  /** Removed from the configuration, and still there for its bow-out. */
  private readonly leaving = new Map<VhidKey, Entry>();
  /** Gates that opened (true) or closed in this turn of the loop. */
  private readonly moved = new Map<VhidKey, boolean>();
  private last: Promise<unknown> = Promise.resolve();

  /** @param runDir where changed kernel settings are remembered over a kill -9 */
  constructor({ node, runDir }: { node: string; runDir: string }, ports: VipPorts) {
    this.node = node;
    this.sysctls = new Sysctls(join(runDir, 'sysctl-vip.json'));
    this.ports = ports;
  }

  /**
   * Brings devices and addresses to what the configuration wants, and keeps what it no longer wants (`prune`). A vhid
   * that has not changed is not touched; what an earlier run left behind (kill -9) is taken over or removed. Resolves
   * when the gates stand and the devices are up.
   * @throws (rejects with) Error that names the device or address
   */
  apply(vips: readonly ResolvedVip[], links: readonly LinkInfo[]): Promise<void> {
    return this.inTurn(async () => {
      const addresses = this.rtnl.addresses();
      const wanted = [...vips.map((vip) => this.spec(vip)), ...this.standing()];
      const leftovers = findLeftovers(this.rtnl.links(), addresses, wanted);
      const first = this.entries.size === 0;
      await removeLeftovers(this.rtnl, this.work, first ? leftovers : { ...leftovers, addresses: [] });
      for (const vip of vips) await this.set(vip, links);
      const failed = await this.arm();
      if (failed !== null) throw new Error(failed);
    });
  }

  /** Kernel settings of devices that somebody has changed: they are set again. */
  putBackSettings(): SettingChanged[] {
    return [this.sysctls, ...[...this.entries.values()].map(({ device }) => device.own)].flatMap((one) =>
      one.putBack(),
    );
  }

  /** Removes the vhids that are not in the configuration any more, as soon as their bow-outs have left. */
  prune(vips: readonly ResolvedVip[]): void {
    const wanted = new Set(vips.map(vhidKey));
    for (const [key, entry] of this.entries) {
      if (wanted.has(key)) continue;
      this.entries.delete(key);
      this.leaving.set(key, entry);
    }
    if (this.leaving.size === 0) return;
    void this.inTurn(async () => {
      await this.ports.adverts.flushed(BOW_OUT_MS);
      // The table first: the kernel removes chains whose device goes, and then it would have to be made anew.
      await this.arm();
      for (const key of [...this.leaving.keys()]) await this.finishLeaving(key);
    });
  }

  /** Work on devices takes its time, beside the loop; one piece after the other. */
  private inTurn<T>(job: () => Promise<T>): Promise<T> {
    const run = this.last.then(job);
    this.last = run.catch(() => {});
    return run;
  }

  /** The role has changed, for the status. */
  onRole(key: VhidKey): void {
    const facts = this.facts.get(key);
    if (facts !== undefined) facts.since = new Date().toISOString();
  }

  /** A gate has opened or closed: the addresses follow as soon as this turn of the loop has sent what it has to. */
  follow(key: VhidKey, open: boolean): void {
    if (this.moved.size === 0) queueMicrotask(() => this.moveAddresses());
    this.moved.set(key, open);
  }

  private moveAddresses(): void {
    for (const [key, open] of this.moved) {
      const { device } = this.entries.get(key) ?? {};
      if (device === undefined || device.isUp === open) continue;
      const failed = open ? device.up() : device.down();
      if (failed === null) continue;
      this.ports.log.error(`${key}: ${failed.message}`);
      // One that cannot be removed stands behind a closed gate.
      if (open) this.ports.fault(key, failed.message);
    }
    this.moved.clear();
  }

  /** Loads the gate again. @returns resolves with null, or what failed; then every vhid without a gate has a fault */
  rearm(): Promise<string | null> {
    return this.inTurn(() => this.arm());
  }

  /** Loads the gate for the devices that are there, and sets those up whose gate stands. */
  private async arm(): Promise<string | null> {
    let failed: string | null = null;
    // A device may vanish while nft is at work: then the others get their gate at the second try.
    for (let tries = 0; tries < 2; tries++) {
      const present = new Set(this.rtnl.links().map((link) => link.name));
      const ready = [...this.entries].filter(([, { device }]) => present.has(device.device));
      failed = await this.ports.loadGate(ready.map(hostOf));
      if (failed !== null) continue;
      for (const [key, { device }] of ready) await this.setUp(key, device);
      return null;
    }
    const reason = `its gate cannot be made: ${failed?.split('\n')[0]}`;
    for (const [key, { device }] of this.entries) if (!device.isArmed) this.ports.fault(key, reason);
    return reason;
  }

  private async setUp(key: VhidKey, device: VipDevice): Promise<void> {
    const failed = await device.arm();
    if (failed !== null) this.ports.fault(key, failed.message);
  }

  announce(key: VhidKey, reason: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    const { failed } = entry.device.announce(readSysctl(['net', 'ipv6', 'conf', 'all', 'forwarding']) === '1');
    for (const error of failed) this.ports.log.warning(`announce ${key} (${reason}): ${error.message}`);
  }

  /**
   * What is missing of a vhid, as the kernel says now: somebody took its device or (of a MASTER) an address away.
   * @param links as last announced; only when they look wrong is the kernel asked again
   */
  faults(links: readonly LinkInfo[]): { key: VhidKey; reason: string }[] {
    const suspects = [...this.entries].filter(([, entry]) => entry.device.isArmed && missing(entry, links) !== null);
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

  /** Brings back what was taken away. Resolves with what failed, in one line, or null. */
  async repair(key: VhidKey, links: readonly LinkInfo[]): Promise<string | null> {
    const { vip } = this.entries.get(key) ?? {};
    if (vip === undefined) return null;
    try {
      await this.inTurn(() => this.again(vip, links));
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
      const [own, parent] = [entry.device.device, vip.device].map((name) => links.find((link) => link.name === name));
      if (parent === undefined) continue;
      // The kernel lowers a macvlan's MTU with its parent's, and never raises it again.
      const narrow = own !== undefined && own.mtu < parent.mtu;
      if (own && !narrow && JSON.stringify(sourcesOf(vip, links)) === entry.settings) continue;
      this.inTurn(() => this.again(vip, links)).catch((error: unknown) => {
        this.ports.log.error(`${vhidKey(vip)}: ${messageOf(error)}`);
      });
    }
  }

  /** Waits for the bow-outs, then leaves nothing behind. */
  async close(): Promise<void> {
    await this.ports.adverts.flushed(BOW_OUT_MS);
    await this.last;
    for (const key of [...this.entries.keys()]) await this.drop(key);
    for (const key of [...this.leaving.keys()]) await this.finishLeaving(key);
    for (const error of this.sysctls.restore()) this.ports.log.warning(error.message);
    this.work.close();
    this.rtnl.close();
  }

  /** Whatever seems to be right is looked at once more. */
  private async again(vip: ResolvedVip, links: readonly LinkInfo[]): Promise<void> {
    const entry = this.entries.get(vhidKey(vip));
    if (entry === undefined) return;
    entry.settings = '';
    await this.set(vip, links);
    const failed = await this.arm();
    if (failed !== null) throw new Error(failed);
  }

  private async set(vip: ResolvedVip, links: readonly LinkInfo[]): Promise<void> {
    const key = vhidKey(vip);
    const spec = this.spec(vip);
    await this.finishLeaving(key);
    const frame = `${spec.mode} ${spec.parent}`;
    if (this.entries.get(key)?.frame !== frame) await this.drop(key);
    const before = this.entries.get(key);
    const settings = JSON.stringify(sourcesOf(vip, links));
    const same = before !== undefined && sameVip(before.vip, vip) && before.settings === settings;
    if (same) return;
    const device = before?.device ?? new VipDevice(this.rtnl, this.work, this.sysctls, spec);
    const was = device.ifindex;
    await device.prepare(spec);
    if (was !== 0 && device.ifindex !== was) this.ports.forgetGate();
    this.entries.set(key, { device, vip, frame, settings });
    if (this.ports.isOpen(key) && !device.isUp) this.follow(key, true);
    this.ports.adverts.setVhid(vip, device.device, sourcesOf(vip, links));
    this.facts.set(key, {
      vip,
      device: device.device,
      mac: Buffer.from(device.mac).toString('hex').replace(/..\B/g, '$&:'),
      since: this.facts.get(key)?.since ?? new Date().toISOString(),
    });
  }

  private async drop(key: VhidKey): Promise<void> {
    this.forget(key);
    const entry = this.entries.get(key);
    this.entries.delete(key);
    await this.remove(entry);
  }

  private async finishLeaving(key: VhidKey): Promise<void> {
    const entry = this.leaving.get(key);
    if (entry === undefined) return;
    this.leaving.delete(key);
    this.forget(key);
    await this.remove(entry);
  }

  private forget(key: VhidKey): void {
    this.facts.delete(key);
    this.ports.adverts.dropVhid(key);
  }

  private async remove(entry: Entry | undefined): Promise<void> {
    const failed = (await entry?.device.remove()) ?? null;
    if (failed !== null) this.ports.log.warning(failed.message);
  }

  private spec(vip: ResolvedVip): VipSpec {
    const { vhid, mac, addresses } = vip;
    return { node: this.node, vhid, role: vip.interface, mode: mac, parent: vip.device, addresses };
  }

  // What stands because of a vhid that goes is no leftover: neither its device, nor an address that a master has on a
  // NIC.
  private standing(): VipSpec[] {
    return [...this.entries.values(), ...this.leaving.values()]
      .filter((e) => e.device.isUp || e.vip.mac === 'virtual')
      .map((e) => this.spec(e.vip));
  }
}

const hostOf = ([key, { device, vip }]: [VhidKey, Entry]): GateHost => ({
  key,
  mode: vip.mac,
  device: device.device,
  addresses: device.prefixes,
});

/** What the kernel lacks of a vhid's device and addresses, in words; null: nothing. */
function missing({ device, vip }: Entry, links: readonly LinkInfo[]): string | null {
  const link = links.find((one) => one.name === device.device);
  if (link === undefined) return `device ${device.device} was removed`;
  if (!link.up) return `device ${device.device} was set down`;
  if (!device.isUp) return null;
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

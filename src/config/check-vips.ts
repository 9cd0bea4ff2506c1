/**
 * The rules of [[vip]] that need more than one key: vhids and addresses used once, names that fit, peers of the right
 * family, timers that can work.
 */

import { DEMOTED_SKEW } from '../contract/carp-timers.ts';
import { nearest } from '../contract/nearest.ts';
import { type Cidr, equalAddress, isLinkLocal, parseAddress, parseCidr } from '../net/cidr.ts';
import { deviceOf, virtualDevice } from './devices.ts';
import type { Report } from './report.ts';
import type { RawConfig } from './schema.ts';
import { advertIntervalMs, takeoverMs } from './timing.ts';

type RawVip = RawConfig['vip'][number];

/** Below this no program in user space can keep its role: a garbage collection or a busy core is longer. */
const LEAST_TAKEOVER_MS = 50;

export function unknownRole(role: string, interfaces: RawConfig['interfaces']): string {
  const roles = Object.keys(interfaces);
  const hint = nearest(role, roles);
  const known = roles.length > 0 ? roles.join(', ') : 'no role at all';
  return `found ${JSON.stringify(role)}, allowed a role of [interfaces] (${known})${hint ? `; did you mean "${hint}"?` : ''}`;
}

/** Where something was used first: `vip[0], line 12`. */
interface Use {
  vip: number;
  line: number;
}

const seenAt = (use: Use) => `vip[${use.vip}] (line ${use.line})`;

class VipChecker {
  readonly #config: RawConfig;
  readonly #report: Report;
  readonly #vhids = new Map<string, Use>();
  readonly #devices = new Map<string, Use>();
  readonly #addresses: { cidr: Cidr; use: Use }[] = [];

  constructor(config: RawConfig, report: Report) {
    this.#config = config;
    this.#report = report;
  }

  check(vip: RawVip, index: number): void {
    this.#interface(vip, index);
    this.#password(vip, index);
    vip.addresses.forEach((text, i) => {
      this.#address(text, index, i);
    });
    this.#peers(vip, index);
    this.#timers(vip, index);
  }

  #interface(vip: RawVip, index: number): void {
    if (vip.interface === null) return;
    const device = deviceOf(this.#config.interfaces, vip.interface);
    if (device === null) {
      this.#report.error(['vip', index, 'interface'], unknownRole(vip.interface, this.#config.interfaces));
      return;
    }
    // By device, not by role: two roles may be the same NIC, and the vhid makes the MAC address.
    const path = ['vip', index, 'vhid'];
    const use = { vip: index, line: this.#report.lineOf(path) };
    const same = this.#vhids.get(`${device} ${vip.vhid}`);
    if (same) {
      const text = `found ${vip.vhid}, which ${seenAt(same)} already uses on ${device}, allowed each vhid once per interface`;
      this.#report.error(path, text);
      return;
    }
    this.#vhids.set(`${device} ${vip.vhid}`, use);
    if (vip.mac === 'virtual') this.#virtualDevice(virtualDevice(vip.vhid, vip.interface), use);
  }

  #virtualDevice(name: string, use: Use): void {
    const path = ['vip', use.vip, 'interface'];
    const other = this.#devices.get(name);
    if (other) {
      const text = `its virtual device would be called ${name}, as that of ${seenAt(other)} already is (names are cut to 15 bytes)`;
      this.#report.error(path, `${text}; use another vhid or role name`);
      return;
    }
    this.#devices.set(name, use);
    const role = Object.entries(this.#config.interfaces).find(([, device]) => device === name)?.[0];
    if (role !== undefined) {
      this.#report.error(
        path,
        `its virtual device would be called ${name}, but [interfaces] ${role} is a device of that name`,
      );
    }
  }

  #password(vip: RawVip, index: number): void {
    const given = Number(vip.password !== null) + Number(vip.password_file !== null);
    if (given === 1) return;
    const found = given === 0 ? 'found neither' : 'found both';
    this.#report.error(
      given === 0 ? ['vip', index] : ['vip', index, 'password_file'],
      `${found}, allowed exactly one of password and password_file`,
    );
  }

  #address(text: string, index: number, at: number): void {
    const cidr = parseCidr(text);
    // A link-local address is one for each link (fe80::1 is a router's on every LAN): resolve.ts knows the links.
    if (!cidr || isLinkLocal(cidr)) return;
    const path = ['vip', index, 'addresses', at];
    const same = this.#addresses.find((entry) => equalAddress(entry.cidr, cidr));
    if (same) {
      this.#report.error(path, `found ${text}, which ${seenAt(same.use)} already has, allowed each address once`);
    } else this.#addresses.push({ cidr, use: { vip: index, line: this.#report.lineOf(path) } });
  }

  /** A family with addresses but without a peer would advertise to nobody, and both nodes would become master of it. */
  #peers(vip: RawVip, index: number): void {
    const peers = vip.peers.map((text) => parseAddress(text));
    const own = vip.addresses.map((text) => parseCidr(text));
    peers.forEach((peer, i) => {
      const path = ['vip', index, 'peers', i];
      if (!peer) return;
      if (own.some((address) => address && equalAddress(address, peer))) {
        this.#report.error(
          path,
          `found ${vip.peers[i]}, a virtual address of this vhid, allowed the peer's own address`,
        );
      } else if (peers.findIndex((other) => other && equalAddress(other, peer)) < i) {
        this.#report.error(path, `found ${vip.peers[i]} twice, allowed each peer once`);
      }
    });
    for (const family of peers.length > 0 ? [4, 6] : []) {
      if (!own.some((address) => address?.family === family) || peers.some((peer) => peer?.family === family)) continue;
      const text = `found no IPv${family} peer, but the vhid has IPv${family} addresses, whose adverts would go to nobody`;
      this.#report.error(
        ['vip', index, 'peers'],
        `${text}, allowed a peer for each family, or none at all (multicast)`,
      );
    }
  }

  #timers(vip: RawVip, index: number): void {
    const takeover = takeoverMs(vip);
    if (takeover < LEAST_TAKEOVER_MS) {
      const found = `found advbase ${vip.advbase} and advskew ${vip.advskew}`;
      const text = `an advert every ${advertIntervalMs(vip).toFixed(1)} ms and take-over after ${takeover.toFixed(1)} ms`;
      this.#report.error(
        ['vip', index, 'advskew'],
        `${found}: ${text}, which no busy box can keep; allowed at least ${LEAST_TAKEOVER_MS} ms (advbase 0 needs an advskew of 5 or more; 8 is a fast pair)`,
      );
    }
    if (vip.advskew > DEMOTED_SKEW) {
      const text = `found ${vip.advskew}: a demotion stops at ${DEMOTED_SKEW}, so it cannot lower this node any further`;
      this.#report.warn(['vip', index, 'advskew'], text);
    }
    const first = this.#config.vip[0]!;
    if (this.#config.carp.preempt && vip.advbase !== first.advbase) {
      const text = `found ${vip.advbase}, but vip[0] has ${first.advbase}: with preempt all vhids move together, and the slowest`;
      this.#report.warn(['vip', index, 'advbase'], `${text} decides when`);
    }
  }
}

export function checkVips(config: RawConfig, report: Report): void {
  const checker = new VipChecker(config, report);
  config.vip.forEach((vip, index) => {
    checker.check(vip, index);
  });
  if (config.vip.length === 0) report.warn(['vip'], 'found no [[vip]]: this node has no virtual address to hold');
}

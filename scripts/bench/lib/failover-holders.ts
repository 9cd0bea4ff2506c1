/**
 * Which kernel holds the virtual addresses, and when that changes: both firewalls' local routing tables, read every few
 * ms. Reading a file costs some 50 µs; starting `ip addr` that often would be the load that is measured.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Lab } from '../../lab/lab.ts';
import { bare, FIREWALLS, type FirewallName, VIPS } from '../../lab/plan.ts';

const EVERY_MS = 3;
/** A firewall without a process has no file to read; how often it is looked for. */
const SEARCH_MS = 20;
const ROLES = ['lan', 'wan'] as const;
const ADDRESSES = ROLES.map((role) => bare(VIPS[role].addresses[0]));
/** Where a product keeps the addresses on devices of its own: an address on one that is down is not held. */
export type VirtualDevices = Readonly<Record<(typeof ROLES)[number], string>>;

const buffer = Buffer.alloc(1 << 16);

interface Move {
  /** performance.now() of the sample that showed it. */
  at: number;
  node: FirewallName;
  address: string;
  held: boolean;
}

/** The kernel gives such a file a page at a time. */
function whole(fd: number): string {
  let size = 0;
  for (;;) {
    const more = readSync(fd, buffer, size, buffer.length - size, size);
    size += more;
    if (more === 0 || size === buffer.length) return buffer.toString('latin1', 0, size);
  }
}

/** A local address stands in fib_trie as `|-- ADDRESS` and, below it, `/32 host LOCAL`. */
function isLocal(lines: readonly string[], address: string): boolean {
  return lines.some((line, i) => line.endsWith(`|-- ${address}`) && lines[i + 1]?.includes('/32 host LOCAL'));
}

/** A device that is up has joined 224.0.0.1, which dev_mcast shows as this Ethernet address. */
const isUp = (lines: readonly string[], device: string): boolean =>
  lines.some((line) => line.includes(` ${device} `) && line.endsWith('01005e000001'));

interface Files {
  routes: number;
  groups: number;
}

export class Holders {
  moves: Move[] = [];
  readonly #lab: Lab;
  readonly #devices: VirtualDevices | null;
  readonly #files = new Map<FirewallName, Files>();
  readonly #searched = new Map<FirewallName, number>();
  readonly #held = new Map<FirewallName, readonly string[]>();
  readonly #timer: NodeJS.Timeout;
  #bothSince: number | null = null;
  /** Longest time an address was held by both, ms. */
  #both = 0;

  constructor(lab: Lab, devices: VirtualDevices | null) {
    this.#lab = lab;
    this.#devices = devices;
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), EVERY_MS);
  }

  /** A new window begins. */
  mark(): void {
    this.moves = [];
    this.#both = 0;
    if (this.#bothSince !== null) this.#bothSince = performance.now();
  }

  /** True when this firewall holds both addresses and no other that is alive holds one. */
  leads(node: FirewallName): boolean {
    const others = FIREWALLS.filter((name) => name !== node);
    return this.#count(node) === ADDRESSES.length && others.every((name) => this.#count(name) === 0);
  }

  /** True when this firewall holds both addresses, whatever the other one holds. */
  has(node: FirewallName): boolean {
    return this.#count(node) === ADDRESSES.length;
  }

  /** Longest time so far that an address was held by two, ms; `open`: it still is. */
  both(): { ms: number; open: boolean } {
    const open = this.#bothSince === null ? 0 : performance.now() - this.#bothSince;
    return { ms: Math.max(this.#both, open), open: this.#bothSince !== null };
  }

  close(): void {
    clearInterval(this.#timer);
    for (const node of FIREWALLS) this.#forget(node);
  }

  #count(node: FirewallName): number {
    return this.#held.get(node)?.length ?? 0;
  }

  #sample(): void {
    const at = performance.now();
    for (const node of FIREWALLS) this.#note(node, this.#look(node), at);
    const [a = [], b = []] = FIREWALLS.map((node) => this.#held.get(node) ?? []);
    const two = a.some((address) => b.includes(address));
    if (two) this.#bothSince ??= at;
    else if (this.#bothSince !== null) {
      this.#both = Math.max(this.#both, at - this.#bothSince);
      this.#bothSince = null;
    }
  }

  /** A machine that is off or hung answers to nothing, so it holds nothing. */
  #look(node: FirewallName): readonly string[] {
    if (this.#lab.off.has(node) || this.#lab.hung.has(node)) {
      if (this.#lab.off.has(node)) this.#forget(node);
      return [];
    }
    const files = this.#files.get(node) ?? this.#open(node);
    return files === null ? [] : this.#heldIn(files);
  }

  #heldIn({ routes, groups }: Files): readonly string[] {
    const local = whole(routes).split('\n');
    const devices = this.#devices;
    const joined = devices ? whole(groups).split('\n') : [];
    return ROLES.filter((role) => !devices || isUp(joined, devices[role]))
      .map((role) => bare(VIPS[role].addresses[0]))
      .filter((address) => isLocal(local, address));
  }

  #open(node: FirewallName): Files | null {
    const now = performance.now();
    if (now - (this.#searched.get(node) ?? Number.NEGATIVE_INFINITY) < SEARCH_MS) return null;
    this.#searched.set(node, now);
    try {
      const folder = `/proc/${this.#lab.pids(node)[0]}/net`;
      const files = { routes: openSync(`${folder}/fib_trie`, 'r'), groups: openSync(`${folder}/dev_mcast`, 'r') };
      this.#files.set(node, files);
      return files;
    } catch {
      return null; // no process, or no machine, yet
    }
  }

  #forget(node: FirewallName): void {
    for (const fd of Object.values(this.#files.get(node) ?? {})) closeSync(fd);
    this.#files.delete(node);
  }

  #note(node: FirewallName, held: readonly string[], at: number): void {
    const before = this.#held.get(node) ?? [];
    for (const address of ADDRESSES) {
      if (before.includes(address) !== held.includes(address))
        this.moves.push({ at, node, address, held: held.includes(address) });
    }
    this.#held.set(node, held);
  }
}

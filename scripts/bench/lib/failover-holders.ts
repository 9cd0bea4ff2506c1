/**
 * Which kernel answers for the virtual addresses, and when that changes: both firewalls' local routing tables (and
 * their gates, if they have any), read every few ms. Reading a file costs some 50 µs; starting `ip addr` that often
 * would be the load that is measured.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { GateCount } from '../../lab/gate-count.ts';
import type { Lab } from '../../lab/lab.ts';
import { bare, FIREWALLS, type FirewallName, VIPS } from '../../lab/plan.ts';

const EVERY_MS = 3;
/** A firewall without a process has no file to read; how often it is looked for. */
const SEARCH_MS = 20;
const ROLES = ['lan', 'wan'] as const;
const ADDRESSES = ROLES.map((role) => bare(VIPS[role].addresses[0]));
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

interface Sources {
  routes: number;
  gates: GateCount | null;
}

export class Holders {
  moves: Move[] = [];
  readonly #lab: Lab;
  readonly #gated: boolean;
  readonly #files = new Map<FirewallName, Sources>();
  readonly #searched = new Map<FirewallName, number>();
  readonly #held = new Map<FirewallName, readonly string[]>();
  readonly #timer: NodeJS.Timeout;
  #bothSince: number | null = null;
  /** Longest time an address was held by both, ms. */
  #both = 0;

  /** @param gated an address behind a closed gate is not held */
  constructor(lab: Lab, gated: boolean) {
    this.#lab = lab;
    this.#gated = gated;
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

  #heldIn({ routes, gates }: Sources): readonly string[] {
    // All vhids move together, so one open gate stands for all. The addresses follow it within the same moment.
    const open = gates?.read() ?? null;
    if (open !== null) return open > 0 ? ADDRESSES : [];
    const local = whole(routes).split('\n');
    return ADDRESSES.filter((address) => isLocal(local, address));
  }

  #open(node: FirewallName): Sources | null {
    const now = performance.now();
    if (now - (this.#searched.get(node) ?? Number.NEGATIVE_INFINITY) < SEARCH_MS) return null;
    this.#searched.set(node, now);
    try {
      const pid = this.#lab.pids(node)[0] ?? 0;
      const routes = openSync(`/proc/${pid}/net/fib_trie`, 'r');
      const files = { routes, gates: this.#gated ? new GateCount(pid) : null };
      this.#files.set(node, files);
      return files;
    } catch {
      return null; // no process, or no machine, yet
    }
  }

  #forget(node: FirewallName): void {
    const files = this.#files.get(node);
    if (files !== undefined) closeSync(files.routes);
    files?.gates?.close();
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

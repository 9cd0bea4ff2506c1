/**
 * What the kernel really holds: rules and virtual addresses. After every load it is read once; from then on the
 * generation of the rules (one system call a second) tells whether somebody else has changed them.
 */
import { createHash } from 'node:crypto';
import { messageOf } from '../contract/message-of.ts';
import { macvlanName } from '../gate/vip.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { runNft } from '../kernel/nft.ts';
import { NftGeneration } from '../kernel/nft-generation.ts';
import { OWN_TABLE } from '../kernel/nft-text.ts';
import { formatIp, parsePrefix } from '../net/ip.ts';
import { diffLines } from './diff.ts';
import { canonicalRules } from './kernel-rules.ts';
import type { ReplicatePorts } from './ports.ts';
import type { Prepared } from './prepared.ts';

const TICK_MS = 1000;
/** Where the generation cannot be asked for, everything is read this often, ms. */
const READ_EVERY_MS = 10_000;
/** Drift of addresses must be seen this often in a row: a take-over or a repair may be under way. */
const LASTING_LOOKS = 2;
const MOST_LINES = 40;

export interface Drift {
  lines: string[];
  /** ISO time since when it is as it is. */
  since: string;
}

export const rulesHash = (lines: readonly string[]): string =>
  createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 32);

export class KernelTruth {
  readonly #ports: ReplicatePorts;
  readonly #changed: (drift: Drift | null) => void;
  readonly #timer: NodeJS.Timeout;
  #generation: NftGeneration | null = null;
  #seen = -1;
  #readAt = Number.NEGATIVE_INFINITY;
  /** Lines after the last load; null: not read yet. */
  #baseline: string[] | null = null;
  #held = 0;
  #busy = false;
  #closed = false;
  #rules: string[] = [];
  #addresses: string[] = [];
  #looks = 0;
  #drift: Drift | null = null;
  #nft: string | null = null;

  /** @param changed called whenever what differs is another; null: nothing differs any more */
  constructor(ports: ReplicatePorts, changed: (drift: Drift | null) => void) {
    this.#ports = ports;
    this.#changed = changed;
    try {
      this.#generation = new NftGeneration();
    } catch (error) {
      ports.warn(`changes of the kernel's rules are looked for every ${READ_EVERY_MS / 1000} s only: ${error}`);
    }
    this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  get drift(): Drift | null {
    return this.#drift;
  }

  /** This node changes its rules itself: nothing is compared until `settle`. */
  hold(): void {
    this.#held++;
  }

  /** What the kernel holds now is what it shall hold. */
  async settle(): Promise<void> {
    try {
      this.#baseline = null;
      const generation = this.#readGeneration();
      this.#baseline = await this.#everything();
      this.#seen = generation;
    } catch (error) {
      this.#ports.warn(`the kernel's rules cannot be read back: ${messageOf(error)}`);
    } finally {
      this.#held--;
      this.#rules = [];
      this.#looks = 0;
    }
    this.#tell();
  }

  /** The user's rules as the kernel holds them, the same on both boxes. @throws Error with nft's words */
  async rules(): Promise<string[]> {
    return this.#canonical(await this.#listing(), this.#ports.rules().tables);
  }

  /** Version of nft: two versions may write the same rules differently. */
  async nftVersion(): Promise<string> {
    this.#nft ??= /v\d\S*/.exec((await runNft(['--version'])).output)?.[0] ?? 'unknown';
    return this.#nft;
  }

  /** What of the virtual addresses is missing or too many, as the kernel says. */
  addresses(links: readonly LinkInfo[] = this.#ports.links()): string[] {
    return addressDrift(this.#ports.current(), links);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#generation?.close();
    this.#generation = null;
  }

  async #listing(): Promise<string> {
    const { output, error } = await runNft(['-s', 'list', 'ruleset']);
    if (error !== null) throw new Error(error.split('\n')[0]);
    return output;
  }

  #canonical(listing: string, tables: readonly { family: string; name: string }[]): string[] {
    const { interfaces } = this.#ports.current().config;
    const roles = new Map(Object.entries(interfaces).map(([role, device]) => [device, role]));
    return canonicalRules(listing, tables, roles);
  }

  async #everything(): Promise<string[]> {
    return this.#canonical(await this.#listing(), [...this.#ports.rules().tables, OWN_TABLE]);
  }

  #readGeneration(): number {
    try {
      return this.#generation?.read() ?? -1;
    } catch {
      return -1;
    }
  }

  async #tick(): Promise<void> {
    if (this.#closed || this.#held > 0 || this.#busy || this.#baseline === null) return;
    this.#busy = true;
    try {
      await this.#lookAtRules();
      if (this.#closed || this.#held > 0) return;
      const now = this.addresses();
      this.#looks = JSON.stringify(now) === JSON.stringify(this.#addresses) ? this.#looks + 1 : 0;
      this.#addresses = now;
      this.#tell();
    } finally {
      this.#busy = false;
    }
  }

  async #lookAtRules(): Promise<void> {
    const generation = this.#readGeneration();
    const now = performance.now();
    const due = generation === -1 ? now - this.#readAt >= READ_EVERY_MS : generation !== this.#seen;
    const baseline = this.#baseline;
    if (!due || baseline === null) return;
    this.#readAt = now;
    try {
      const lines = await this.#everything();
      if (this.#held > 0 || this.#baseline !== baseline) return;
      this.#seen = generation;
      this.#rules = diffLines(baseline, lines, MOST_LINES).map((line) => `rules: ${line}`);
    } catch (error) {
      this.#rules = [`rules: they cannot be read: ${messageOf(error)}`];
    }
  }

  #tell(): void {
    const addresses = this.#looks + 1 >= LASTING_LOOKS ? this.#addresses : [];
    const lines = [...this.#rules, ...addresses];
    if (JSON.stringify(lines) === JSON.stringify(this.#drift?.lines ?? [])) return;
    this.#drift = lines.length === 0 ? null : { lines, since: new Date().toISOString() };
    this.#changed(this.#drift);
  }
}

const canonical = (text: string): string => {
  const prefix = parsePrefix(text);
  return prefix === null ? text : `${formatIp(prefix.bytes)}/${prefix.length}`;
};

/**
 * What stands on the macvlans and should not, or is missing. A macvlan carries its addresses while its gate is open:
 * one without any is a backup's. With `mac = "physical"` they come and go on the NIC, among others.
 */
export function addressDrift(
  { config, vips }: Pick<Prepared, 'config' | 'vips'>,
  links: readonly LinkInfo[],
): string[] {
  return vips.flatMap((vip) => {
    const parent = config.interfaces[vip.interface];
    if (vip.mac !== 'virtual' || !links.some((link) => link.name === parent)) return [];
    const device = macvlanName(vip.vhid, vip.interface);
    const link = links.find((one) => one.name === device);
    if (link === undefined) return [`addresses: device ${device} is not there`];
    const wanted = new Set(vip.addresses.map(canonical));
    const there = new Set(
      link.addresses
        .filter((a) => !a.address.startsWith('fe80:') || wanted.has(`${a.address}/${a.prefix}`))
        .map((a) => canonical(`${a.address}/${a.prefix}`)),
    );
    const isOpen = [...wanted].some((one) => there.has(one));
    return [
      ...[...wanted].filter((one) => isOpen && !there.has(one)).map((one) => `addresses: -${device} ${one}`),
      ...[...there].filter((one) => !wanted.has(one)).map((one) => `addresses: +${device} ${one}`),
    ];
  });
}

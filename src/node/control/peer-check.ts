/**
 * What the two nodes of a pair can tell about each other for `carpio check`: each measures from its own side, and the
 * peer is asked over the peer channel for what it has measured. Two calls: `clock` (its time) and `check` (everything
 * else).
 */
import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { PeerChannel } from '../../channel/channel.ts';
import type { ResolvedVip } from '../../config/resolve.ts';
import type { Config } from '../../config/types.ts';
import { messageOf } from '../../contract/message-of.ts';
import type { PeerCheck, SideCheck } from '../../contract/peer-check.ts';
import type { NodeStatus } from '../../contract/status.ts';
import type { Json } from '../../contract/values.ts';
import { pathMtu, sizesUpTo } from '../../kernel/path-mtu.ts';
import { sharedEntries } from '../../replicate/document.ts';

interface PeerCheckPorts {
  config(): Config;
  vips(): readonly ResolvedVip[];
  status(): NodeStatus;
  /** Has the peer answered a probe to CARP's multicast group there within `ms`? null: it cannot be asked so. */
  multicast(role: string, ms: number): Promise<boolean | null>;
  /** The text of the rules in force, or null. */
  rules(): string | null;
}

/** How long this side measures, ms; the peer does the same at the same time. */
const MEASURE_MS = 900;
/** For the peer's measurements to arrive, ms. */
const ANSWER_MS = 6000;
const CLOCK_MS = 2000;
const CLOCK_TRIES = 3;
const NONCE_BYTES = 16;

const text = z.string().max(64);
const answerSchema = z.object({
  node: text,
  version: text,
  multicast: z.record(text, z.boolean().nullable()),
  mtu: z.object({ configured: z.number().int(), largest: z.number().int().nullable() }),
  sync_heard: z.boolean(),
  shared: z.record(text, text),
  passwords: z.record(text, z.string().regex(/^[0-9a-f]{64}$/)),
});
type Answer = z.infer<typeof answerSchema>;
const askSchema = z.object({ nonce: z.string().regex(/^[0-9a-f]{32}$/) });
const clockSchema = z.object({ time: z.number() });

const vhidName = (vip: ResolvedVip): string => `${vip.vhid} on ${vip.interface}`;

/**
 * Digests of a password under the pair's key and the asker's fresh number: equal when the passwords are. They go over
 * the sealed channel to who has the pair's key, and to nobody else.
 */
export function passwordDigests(
  secret: Uint8Array,
  nonce: string,
  vips: readonly ResolvedVip[],
): Record<string, string> {
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 check password', 32));
  const digest = (vip: ResolvedVip): string =>
    createHmac('sha256', key)
      .update(`${nonce} ${vhidName(vip)}\0`)
      .update(vip.password.reveal())
      .digest('hex');
  return Object.fromEntries(vips.map((vip) => [vhidName(vip), digest(vip)]));
}

/** By vhid: the same, another, or (null) on one side only. */
export function comparePasswords(
  own: Readonly<Record<string, string>>,
  peer: Readonly<Record<string, string>>,
): Record<string, boolean | null> {
  const names = [...new Set([...Object.keys(own), ...Object.keys(peer)])].sort();
  const same = (name: string): boolean | null => {
    const [a, b] = [own[name], peer[name]];
    return a === undefined || b === undefined ? null : timingSafeEqual(Buffer.from(a), Buffer.from(b));
  };
  return Object.fromEntries(names.map((name) => [name, same(name)]));
}

const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);

/** The part that a shared key belongs to, in the words of a person; passwords are compared by themselves. */
function partOf(key: string): string | null {
  if (key.endsWith('.password')) return null;
  if (key.startsWith('vip[')) return 'vip';
  if (key.startsWith('track[')) return 'track';
  return key === 'firewall.rules' ? 'rules' : 'policy';
}

/**
 * Digests of what both nodes share (replicate/document.ts), in parts that a person can go and look at. No secret is in
 * them.
 * @param rules the text of the rules in force
 */
export function sharedDigests(
  config: Config,
  vips: readonly ResolvedVip[],
  rules: string | null,
): Record<string, string> {
  const parts: Record<string, [string, Json][]> = { vip: [], track: [], rules: [], policy: [] };
  const entries = Object.entries(sharedEntries(config, vips, rules)).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of entries) parts[partOf(key) ?? '']?.push([key, value]);
  return Object.fromEntries(Object.entries(parts).map(([part, list]) => [part, digestOf(list)]));
}

export class PeerCheckSide {
  private readonly ports: PeerCheckPorts;
  private readonly channel: PeerChannel | null;
  private busy: Promise<SideCheck> | null = null;

  constructor(channel: PeerChannel | null, ports: PeerCheckPorts) {
    this.ports = ports;
    this.channel = channel;
    channel?.handle('clock', () => ({ time: Date.now() }));
    channel?.handle('check', async (body) => {
      const { nonce } = askSchema.parse(body);
      return { ...(await this.measure()), passwords: this.passwords(nonce) } as unknown as Json;
    });
  }

  /** Never rejects because of the peer: what it did not answer is null, and `reason` says why. */
  async run(): Promise<PeerCheck> {
    const nonce = randomBytes(NONCE_BYTES).toString('hex');
    const clock = await this.clock();
    const [own, asked] = await Promise.all([this.measure(), this.ask(nonce)]);
    if (typeof asked === 'string') return { own, peer: null, reason: asked, clock, passwords: {} };
    const { passwords, ...peer } = asked;
    return { own, peer, reason: null, clock, passwords: comparePasswords(this.passwords(nonce), passwords) };
  }

  private async ask(nonce: string): Promise<Answer | string> {
    if (this.channel === null) return 'without a pair key there is no channel to it';
    try {
      const parsed = answerSchema.safeParse(await this.channel.call('check', { nonce }, ANSWER_MS));
      return parsed.success ? parsed.data : 'its answer is not one that this version understands';
    } catch (error) {
      return messageOf(error);
    }
  }

  /** The best of a few calls: the one that took the shortest tells most exactly. */
  private async clock(): Promise<PeerCheck['clock']> {
    let best: PeerCheck['clock'] = null;
    for (let i = 0; i < CLOCK_TRIES && this.channel !== null; i++) {
      try {
        const [sent, at] = [Date.now(), performance.now()];
        const { time } = clockSchema.parse(await this.channel.call('clock', {}, CLOCK_MS));
        const rtt = performance.now() - at;
        if (best === null || rtt < best.rtt_ms) best = { ahead_ms: Math.round(time - sent - rtt / 2), rtt_ms: rtt };
      } catch {
        return best;
      }
    }
    return best;
  }

  private passwords(nonce: string): Record<string, string> {
    return this.channel === null ? {} : passwordDigests(this.channel.secret, nonce, this.ports.vips());
  }

  /** One measurement at a time, whoever asks. */
  private measure(): Promise<SideCheck> {
    this.busy ??= this.measureNow().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  private async measureNow(): Promise<SideCheck> {
    const { ports } = this;
    const config = ports.config();
    const vips = ports.vips();
    const roles = [...new Set(vips.filter((vip) => vip.peers.length === 0).map((vip) => vip.interface))];
    const heard = roles.map(
      async (role): Promise<[string, boolean | null]> => [role, await ports.multicast(role, MEASURE_MS)],
    );
    const [mtu, multicast] = await Promise.all([this.mtu(config), Promise.all(heard)]);
    const { node, version, sync } = ports.status();
    return {
      node,
      version,
      multicast: Object.fromEntries(multicast),
      mtu,
      sync_heard: sync?.peer.alive ?? false,
      shared: sharedDigests(config, vips, ports.rules()),
    };
  }

  private async mtu({ sync, interfaces }: Config): Promise<SideCheck['mtu']> {
    const configured = sync?.mtu ?? 0;
    const peer = this.channel?.status().peer_address ?? sync?.peer ?? null;
    const device = sync === null ? undefined : interfaces[sync.interface];
    if (peer === null || device === undefined || configured === 0) return { configured, largest: null };
    try {
      return { configured, largest: (await pathMtu(device, peer, sizesUpTo(configured), MEASURE_MS)).largest };
    } catch {
      return { configured, largest: null };
    }
  }
}

/** The node's part in replication: source or replica as [replicate] from says, its status, and the commands for it. */
import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PeerChannel } from '../channel/channel.ts';
import type { ReplicateStatus } from '../contract/status.ts';
import type { Json } from '../contract/values.ts';
import { VERSION } from '../contract/version.ts';
import type { SharedDocument } from '../replicate/document.ts';
import { unknownKeys, unsharedKeys } from '../replicate/document.ts';
import { REPLICATE_CALLS as CALLS } from '../replicate/messages.ts';
import type { Plan } from '../replicate/plan.ts';
import type { ReplicatePorts } from '../replicate/ports.ts';
import { isReplica } from '../replicate/prepared.ts';
import { Replica } from '../replicate/replica.ts';
import { type PushResult, Source } from '../replicate/source.ts';
import { type Drift, KernelTruth } from '../replicate/truth.ts';

/** What a source said longer ago than this is no knowledge any more, ms. */
const STALE_MS = 7000;

export class ReplicateSide {
  readonly #ports: ReplicatePorts;
  readonly #channel: PeerChannel;
  readonly #truth: KernelTruth;
  readonly #source: Source | null;
  readonly #replica: Replica | null;
  /** What differed when it was last reported. */
  #reported = '';
  #peerDrift = '';
  readonly #timer: NodeJS.Timeout;

  constructor(ports: ReplicatePorts, channel: PeerChannel) {
    this.#ports = ports;
    this.#channel = channel;
    const { config } = ports.current();
    const key = keyOf(channel);
    this.#truth = new KernelTruth(ports, (drift) => this.#onDrift('here', config.node.name, drift));
    const replica = isReplica(config);
    const options = { key, node: config.node.name, version: VERSION };
    this.#source = replica ? null : new Source(options, ports, this.#truth, channel);
    this.#replica = replica
      ? new Replica({ key, version: VERSION, stateDir: config.node.state_dir }, ports, this.#truth)
      : null;
    this.#serve();
    this.#timer = setInterval(() => this.#report(), 1000);
    this.#timer.unref();
  }

  /** After the start of the node. */
  begin(): void {
    this.#replica?.begin();
  }

  /** Around every change of this node's own rules. */
  hold(): void {
    this.#truth.hold();
  }

  async settle(): Promise<void> {
    await this.#truth.settle();
    void this.#source?.look();
  }

  /** What a reload lays over the file: a push that is not confirmed yet counts, else what stands on disk. */
  get sharedForReload(): SharedDocument | undefined {
    const pending = this.#replica?.pending === true ? this.#ports.current().replicated : null;
    return pending ?? undefined;
  }

  async plan(): Promise<Plan> {
    return this.#needSource().planOfFiles();
  }

  push(): Promise<PushResult> {
    return this.#needSource().push('asked');
  }

  status(): ReplicateStatus {
    const { config } = this.#ports.current();
    const base = {
      from: config.replicate?.from ?? '',
      auto: config.replicate?.auto ?? true,
      drift: this.#truth.drift?.lines ?? [],
      drift_since: this.#truth.drift?.since ?? null,
    };
    return this.#source !== null ? { ...base, ...sourceStatus(this.#source) } : { ...base, ...this.#replicaStatus() };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#truth.close();
    this.#source?.close();
    this.#replica?.close();
  }

  #needSource(): Source {
    if (this.#source !== null) return this.#source;
    const { config } = this.#ports.current();
    const from = config.replicate?.from;
    throw new Error(
      `${config.node.name} is not the source: [replicate] from = "${from}", so change it on ${from} and push from there`,
    );
  }

  #serve(): void {
    const replica = this.#replica;
    const { config } = this.#ports.current();
    if (replica === null) {
      const refuse = (): never => {
        throw new Error(
          `${config.node.name} is the source itself: its file says [replicate] from = "${config.replicate?.from}"`,
        );
      };
      for (const name of Object.values(CALLS)) this.#channel.handle(name, refuse);
      return;
    }
    this.#channel.handle(CALLS.state, (body, caller) => replica.onState(body, caller));
    this.#channel.handle(CALLS.plan, (body, caller) => replica.onPlan(body, caller));
    this.#channel.handle(CALLS.apply, (body, caller) => replica.onApply(body, caller));
    this.#channel.handle(CALLS.confirm, (body, caller) => replica.onConfirm(body, caller));
    this.#channel.handle(CALLS.abort, (body, caller) => replica.onAbort(body, caller));
    this.#channel.handle(CALLS.rules, async () => ({ lines: await this.#truth.rules() }));
  }

  #replicaStatus(): Omit<ReplicateStatus, 'from' | 'auto' | 'drift' | 'drift_since'> {
    const replica = this.#replica!;
    const { told, document } = replica;
    const fresh = told !== null && told.ago < STALE_MS && this.#channel.peer !== null ? told.call : null;
    const hash = replica.hash();
    const same = fresh === null ? null : fresh.hash === hash;
    return {
      role: 'replica',
      same,
      reason:
        same === true
          ? null
          : (fresh?.reason ?? (fresh === null ? noNews(this.#channel) : 'the two configurations differ')),
      hash,
      peer_hash: fresh?.hash ?? null,
      checked_ms_ago: told === null ? null : Math.round(told.ago),
      pending: replica.pending,
      differs: same === false ? (fresh?.differs ?? []) : [],
      peer_drift: fresh?.drift ?? [],
      unknown: document === null ? [] : unknownKeys(document),
      unshared: document === null ? [] : unsharedKeys(document),
      own_file: this.#ownFile(),
      last: null,
    };
  }

  #ownFileAt = Number.NEGATIVE_INFINITY;
  #ownFileLines: string[] = [];

  /** Read anew at most every few seconds: it is somebody's file, and asked for with every status. */
  #ownFile(): string[] {
    if (performance.now() - this.#ownFileAt < STALE_MS) return this.#ownFileLines;
    this.#ownFileAt = performance.now();
    const result = this.#ports.candidate(null);
    if (!result.ok) {
      this.#ownFileLines = [`this node's own file is not sound: ${result.errors[0] ?? ''}`];
      return this.#ownFileLines;
    }
    const path = result.prepared.config.firewall?.rules ?? null;
    let rules: string | null = null;
    try {
      rules = path === null ? null : readFileSync(path, 'utf8');
    } catch {
      // said where the rules are loaded
    }
    this.#ownFileLines = this.#replica?.ignored(result.prepared, rules) ?? [];
    return this.#ownFileLines;
  }

  #onDrift(where: 'here' | 'peer', node: string, drift: Pick<Drift, 'lines'> | null): void {
    const lines = drift?.lines ?? [];
    const reason =
      lines.length === 0
        ? 'what differed is as it was'
        : `somebody has changed ${node} by hand: ${lines.slice(0, 3).join(' | ')}`;
    this.#ports.publish({
      kind: 'replicate.drift',
      where,
      node,
      over: lines.length === 0,
      lines: lines.slice(0, 10),
      reason,
    });
    void this.#source?.look();
  }

  /** The peer's drift, and whether both hold the same, as events. */
  #report(): void {
    const status = this.status();
    if (status.same === null) return;
    const peer = this.#channel.peer?.node ?? 'the peer';
    const drift = JSON.stringify(status.peer_drift);
    if (drift !== (this.#peerDrift || '[]')) this.#onDrift('peer', peer, { lines: status.peer_drift });
    this.#peerDrift = drift;
    const text = JSON.stringify([status.same, status.differs]);
    if (text === this.#reported || status.pending) return;
    const first = this.#reported === '';
    this.#reported = text;
    if (first && status.same) return;
    const { same, reason } = status;
    this.#ports.publish({ kind: 'replicate.same', same, reason, lines: status.differs.slice(0, 10) });
  }
}

/**
 * The key of what both nodes hash: that of the channel, which is the same at both ends also while the pair's is
 * changed.
 */
function keyOf(channel: PeerChannel): () => Uint8Array {
  let known: { secret: Uint8Array; key: Uint8Array } | null = null;
  return () => {
    const { secret } = channel;
    if (known?.secret === secret) return known.key;
    const key = new Uint8Array(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 replicate', 32));
    known = { secret, key };
    return key;
  };
}

function sourceStatus(source: Source): Omit<ReplicateStatus, 'from' | 'auto' | 'drift' | 'drift_since'> {
  const { answer, ago, differs, reason, last, pushing } = source.facts;
  const hash = source.hash();
  const fresh = ago < STALE_MS ? answer : null;
  const same = fresh === null ? null : fresh.hash === hash;
  return {
    role: 'source',
    same,
    reason: same === true ? null : reason,
    hash,
    peer_hash: fresh?.hash ?? null,
    checked_ms_ago: Number.isFinite(ago) ? Math.round(ago) : null,
    pending: pushing || fresh?.pending === true,
    differs: same === false ? differs : [],
    peer_drift: fresh?.drift ?? [],
    unknown: fresh?.unknown ?? [],
    unshared: fresh?.unshared ?? [],
    own_file: [],
    last,
  };
}

const noNews = (channel: PeerChannel): string =>
  channel.peer === null ? 'the peer channel is down' : `${channel.peer.node} has not asked yet`;

/** Plain data that TypeScript only knows by its interface. */
export const asJson = (value: Plan | PushResult | ReplicateStatus): Json => value as unknown as Json;

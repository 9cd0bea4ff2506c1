/** The node's side of the dataplane: what it is configured with, what it tells of the peer, and the demotion `sync`. */
import { readFileSync } from 'node:fs';
import { hasCarrier } from '../carp/group-config.ts';
import { acceptRules } from '../config/accept.ts';
import type { Config, SyncConfig } from '../config/types.ts';
import { REAL_CLOCK } from '../contract/clock.ts';
import type { KeyNotice, SyncNotice } from '../contract/sync-notice.ts';
import { hasDeferRules, putDeferRules, removeDeferRules } from '../kernel/defer-rules.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { PacketSocket } from '../kernel/packet-socket.ts';
import type { ReceivedReport } from '../liveness/peer-report.ts';
import { readReport } from '../liveness/peer-report.ts';
import type { Recorder } from '../recording/recorder.ts';
import { DeferRuleKeeper } from '../sync/control/defer-rules.ts';
import { SyncFinder } from '../sync/control/finder.ts';
import { DataplaneHandle } from '../sync/control/handle.ts';
import { TIMEOUT_SYSCTLS } from '../sync/table/timeouts.ts';
import type { Assets } from './assets.ts';
import type { PeerFacts } from './status.ts';

interface SyncSidePorts {
  notice(notice: SyncNotice): void;
  /** What the peer says of itself; `null`: it is not heard any more. */
  peer(received: ReceivedReport | null): void;
  /** In step or not has changed. */
  step(): void;
  failed(reason: string): void;
  /** A change of the pair's key is over: the one before is not needed any more. */
  keySettled(): void;
  warn(message: string): void;
  /** Takes what enters the session machine. */
  recorder?: Pick<Recorder, 'foreign'> | null;
}

/**
 * This node's own addresses, the virtual ones also while it is backup: connections that end here are of no use to the
 * peer, and none of the peer's may end here.
 */
function ownAddresses(virtual: readonly string[], links: readonly LinkInfo[]): string[] {
  const own = links.flatMap((link) => link.addresses.map(({ address }) => address));
  return [...new Set([...own, ...virtual.map((text) => text.split('/')[0] ?? '')])].slice(0, MAX_LOCAL);
}

const virtualAddresses = (config: Config): string[] => config.vip.flatMap((vip) => vip.addresses);

const MAX_LOCAL = 64;

/** What a node without a pair key lacks, one line each. */
export const OPEN_WARNINGS: readonly string[] = [
  'sync is OPEN: no [sync] key_file, so anybody on the sync link can read and change states',
  'there is NO peer channel: without [sync] key_file the nodes cannot replicate or ask each other',
];

export class SyncSide {
  readonly handle: DataplaneHandle;
  readonly dialect: string;
  readonly sealed: boolean;
  readonly peer: PeerFacts;
  /** What the two nodes' pair keys differ by; null: they do not. */
  keyReason: string | null = null;
  private readonly ports: SyncSidePorts;
  private readonly device: string;
  private virtual: readonly string[];
  /** Of the device in its present life; 0: it is gone. */
  private ifindex: number;
  private readonly finder: SyncFinder;
  private readonly defer: DeferRuleKeeper;
  /** First answers are to be held, and the dataplane listens to their queue. */
  private holds: boolean;
  private lastText: string | null = null;
  private last: ReceivedReport | null = null;

  /** @param secrets the pair's, the one to use first in front; none: the link is open */
  constructor(
    config: Config,
    sync: SyncConfig,
    secrets: readonly Uint8Array[],
    links: readonly LinkInfo[],
    assets: Assets,
    ports: SyncSidePorts,
  ) {
    this.device = config.interfaces[sync.interface] ?? '';
    const { device } = this;
    this.ifindex = links.find((link) => link.name === device)?.index ?? 0;
    this.dialect = sync.dialect;
    this.sealed = secrets.length > 0;
    this.peer = { name: null, address: sync.peer, role: null };
    this.ports = ports;
    this.virtual = virtualAddresses(config);
    this.holds = sync.defer;
    const rules = { put: () => putDeferRules(), there: hasDeferRules, remove: removeDeferRules };
    this.defer = new DeferRuleKeeper(rules, ports);
    this.handle = new DataplaneHandle(
      assets.worker,
      assets.wasm,
      {
        name: config.node.name,
        secrets: [...secrets],
        device,
        ifindex: this.ifindex,
        peer: sync.peer,
        mtu: sync.mtu,
        eventBuffer: sync.event_buffer,
        syncWhen: sync.sync_when,
        ignore: sync.ignore,
        local: ownAddresses(this.virtual, links),
        accept: sync.accept.length > 0 ? acceptRules(sync.accept, config.vip) : null,
        maxStates: sync.max_states,
        defer: sync.defer,
        deferMs: sync.defer_ms,
        timeouts: TIMEOUT_SYSCTLS.map(readTimeout),
        realtime: config.service.realtime > 1,
        recording: ports.recorder !== null && ports.recorder !== undefined,
      },
      {
        notice: (notice) => this.onNotice(notice),
        peerName: (name) => {
          this.peer.name = name;
        },
        peerReport: (report) => this.onReport(report),
        step: () => ports.step(),
        recorded: (lines) => ports.recorder?.foreign(lines),
        failed: (reason) => ports.failed(reason),
      },
    );
    this.finder = this.makeFinder(sync.peer);
    this.tellCarrier(links);
  }

  /** The virtual addresses have changed. */
  setVirtual(config: Config, links: readonly LinkInfo[]): void {
    this.virtual = virtualAddresses(config);
    this.handle.setLocal(ownAddresses(this.virtual, links));
  }

  onLinks(links: readonly LinkInfo[]): void {
    this.handle.setLocal(ownAddresses(this.virtual, links));
    const index = links.find(({ name }) => name === this.device)?.index ?? 0;
    if (index !== this.ifindex && index !== 0) this.handle.setDevice(index);
    this.ifindex = index;
    this.tellCarrier(links);
  }

  private tellCarrier(links: readonly LinkInfo[]): void {
    const up = hasCarrier(links, this.device);
    if (!this.handle.setCarrier(up)) return;
    if (up) this.finder.carrierBack(links.find(({ name }) => name === this.device));
    else this.finder.close();
  }

  private makeFinder(peer: string | null): SyncFinder {
    const send = (device: { ifindex: number; name: string }, frame: Uint8Array): void => {
      const socket = new PacketSocket(device);
      try {
        socket.send(frame);
      } finally {
        socket.close();
      }
    };
    const heardSince = (ms: number): boolean => this.handle.stat('heardAt') > ms;
    return new SyncFinder(peer, { send, heardSince }, REAL_CLOCK);
  }

  /** @throws Error with one line that says what the kernel or the machine lacks */
  async ready(): Promise<void> {
    await this.handle.ready();
    await this.defer.begin(this.holds);
  }

  /** Why the dataplane is not well; null: it is. */
  fault(): string | null {
    const { handle } = this;
    const silent = handle.now() - handle.stat('passAt');
    return silent > 5000 ? `the dataplane has not turned for ${Math.round(silent / 1000)} s` : null;
  }

  async stop(): Promise<void> {
    this.finder.close();
    await this.defer.close();
    await this.handle.stop();
  }

  private onNotice(notice: SyncNotice): void {
    if (notice.kind === 'sync.key') this.onKey(notice);
    if (notice.kind === 'sync.defer' && !notice.on) this.holds = false;
    if (notice.kind === 'sync.peer' && !notice.alive) {
      this.peer.role = null;
      this.ports.peer(null);
    }
    this.ports.notice(notice);
  }

  private onKey({ state, reason }: KeyNotice): void {
    this.keyReason = reason;
    if (reason !== null) this.ports.warn(reason);
    if (state === 'same' || state === 'expired') this.ports.keySettled();
  }

  private onReport(text: string): void {
    // It is repeated twenty times a second, and nearly always says the same.
    if (text !== this.lastText) this.last = readReport(text);
    this.lastText = text;
    const received = this.last;
    if (received === null) return;
    this.peer.role = received.role;
    this.ports.peer(received);
  }
}

function readTimeout({ name, fallback }: { name: string; fallback: number }): number {
  try {
    const value = Number(readFileSync(`/proc/sys/net/netfilter/${name}`, 'utf8'));
    return Number.isInteger(value) && value > 0 ? value : fallback;
  } catch {
    return fallback;
  }
}

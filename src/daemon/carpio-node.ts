/** One Carpio node from start to stop: builds the parts, connects them, and lets go of everything in the right order. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { demotionTotal } from '../carp/context.ts';
import { wasPaired } from '../carp/group.ts';
import type { GroupEvent } from '../carp/types.ts';
import type { MaskedAdvert } from '../carp/unmask.ts';
import type { MaintenanceResult, SysctlResult } from '../cli/control-types.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import { sampleOf } from '../feed/sample.ts';
import { startFeed } from '../feed/server.ts';
import { GuardKeeper } from '../guard/keeper.ts';
import type { LinkInfo, LinkWatch } from '../kernel/links.ts';
import { watchLinks } from '../kernel/links.ts';
import type { PeerChannel } from '../peer/channel.ts';
import type { Recorder } from '../record/recorder.ts';
import type { SharedDocument } from '../replicate/document.ts';
import type { NodeEvent, NodeStatus } from '../status.ts';
import { VERSION } from '../version.ts';
import { Adverts, vipKey } from './adverts.ts';
import type { Assets } from './assets.ts';
import { nowUs, REAL_CLOCK } from './clock.ts';
import type { ControlHandler, ControlServer } from './control.ts';
import { startControl } from './control.ts';
import { ownAddresses } from './early-take-over.ts';
import type { RoleAction } from './election.ts';
import { Election } from './election.ts';
import { Firewall } from './firewall.ts';
import { fixedSections } from './fixed-sections.ts';
import { groupConfig, linkStates } from './group-config.ts';
import { HandOver } from './hand-over.ts';
import { makeHandlers } from './handlers.ts';
import { Journal } from './journal.ts';
import type { Log } from './log.ts';
import { Neighbours } from './neighbours.ts';
import { sysctl } from './oids.ts';
import { PeerCheckSide } from './peer-check.ts';
import { roleOf } from './peer-ear.ts';
import type { ReceivedReport } from './peer-report.ts';
import { masterKeys } from './peer-report.ts';
import { makePeerChannel, syncAddresses } from './peer-side.ts';
import type { Prepared, PrepareResult } from './prepare.ts';
import { ReplicateSide } from './replicate-side.ts';
import { Service, serviceLine } from './service.ts';
import { Standing } from './standing.ts';
import { makeStatus } from './status.ts';
import { localAddresses, SyncSide } from './sync-side.ts';
import { startTracks } from './tracks.ts';
import { VipFaults } from './vip-faults.ts';
import { VipSet } from './vip-set.ts';

export class CarpioNode {
  private config: Config;
  private vips: ResolvedVip[];
  private links: LinkInfo[];
  private readonly log: Log;
  private readonly recorder: Recorder | null;
  private readonly assets: Assets;
  private readonly startedUs = nowUs();
  private readonly election: Election;
  private readonly adverts: Adverts;
  private readonly guard: GuardKeeper;
  private readonly vipSet: VipSet;
  private readonly vipFaults: VipFaults;
  private readonly firewall: Firewall;
  private readonly handOver: HandOver;
  private readonly journal: Journal;
  private readonly service: Service;
  private sync: SyncSide | null = null;
  private readonly channel: PeerChannel | null;
  private readonly peerCheck: PeerCheckSide;
  private readonly replicate: ReplicateSide | null;
  private current: Prepared;
  private changing: Promise<unknown> = Promise.resolve();
  private readonly neighbours: Neighbours;
  private readonly standing: Standing;
  private control: ControlServer | null = null;
  private watch: LinkWatch | null = null;
  private tracks: { close(): void } | null = null;
  private ended: ((code: number) => void) | null = null;
  /** Resolves with the exit code when the node has let go of everything. */
  readonly done = new Promise<number>((resolve) => {
    this.ended = resolve;
  });

  private settled: () => void = () => {};
  private readonly started = new Promise<void>((resolve) => {
    this.settled = resolve;
  });

  /**
   * @param recorder takes what enters the machines; null: nothing is recorded
   * @param candidate this node's own file with the shared parts of another one
   */
  constructor(
    prepared: Prepared,
    assets: Assets,
    log: Log,
    recorder: Recorder | null,
    candidate: (shared: SharedDocument | null) => PrepareResult,
  ) {
    this.recorder = recorder;
    this.current = prepared;
    this.config = prepared.config;
    this.vips = prepared.vips;
    this.links = prepared.links;
    this.assets = assets;
    this.log = log;
    const { node, carp, hooks } = this.config;
    this.journal = new Journal(node.name, carp.log, hooks?.on_event ?? null, log);
    this.handOver = new HandOver(this.config.node.state_dir, log);
    const runDir = dirname(this.config.node.control);
    this.firewall = new Firewall(runDir, log);
    this.service = new Service(process.env, {
      fault: () => this.health(),
      line: () => serviceLine(this.status()),
      warn: (message) => log.warning(message),
    });
    this.adverts = new Adverts({
      advert: (key, family, advert, from) => this.neighbours.onAdvert({ key, family, advert, from }),
      sendResult: (key, ok) => this.election.feed({ type: 'sendResult', key, ok }),
      refused: (counter, role, vhid, from) => this.onRefused(counter, role, vhid, from),
      warn: (message) => log.warning(message),
      look: () => this.election.look(),
    });
    this.channel = makePeerChannel(this.config, {
      publish: (event) => this.publish(event),
      warn: (message) => log.warning(message),
    });
    this.replicate = this.makeReplicate(candidate);
    this.guard = new GuardKeeper({
      lost: (reason) => this.publish({ kind: 'guard.lost', reason }),
      ready: (pid) => this.publish({ kind: 'guard.ready', pid }),
      fell: (keys, silentMs) => {
        // The addresses are down and the goodbyes are said, whatever this process thinks of its own sleep.
        this.election.feed({ type: 'stall', sleptUs: silentMs * 1000 });
        this.publish({ kind: 'guard.fell', vhids: keys, silent_ms: silentMs });
        this.adverts.renewLastWords();
        this.vipSet.guardAll();
      },
      warn: (message) => log.warning(message),
    });
    this.vipSet = new VipSet({ node: this.config.node.name, runDir }, this.adverts, this.guard, log);
    this.neighbours = new Neighbours({
      publish: (event) => this.publish(event),
      feed: (event) => this.election.feed(event),
      unmasked: (masked, reason) => this.onUnmasked(masked, reason),
      group: () => this.election.state,
      mac: (key) => this.vipSet.facts.get(key)?.mac ?? null,
      vips: () => this.vips,
      look: () => this.election.look(),
      warn: (message) => log.warning(message),
      taps: recorder,
    });
    this.peerCheck = new PeerCheckSide(this.channel, {
      config: () => this.config,
      vips: () => this.vips,
      status: () => this.status(),
      multicast: (role, ms) => this.neighbours.multicast(role, ms),
      rules: () => this.firewall.rules.text,
    });
    this.vipFaults = new VipFaults({
      tell: (key, reason) => this.election.feed({ type: 'vip', key, ok: reason === null, reason: reason ?? '' }),
      repair: (key) => this.vipSet.repair(key, this.links),
      warn: (message) => log.warning(message),
    });
    this.standing = new Standing({
      sync: () => this.syncFacts(),
      group: () => this.election.state,
      wokeUs: () => this.election.wokeUs,
      feed: (event) => this.election.feed(event),
      tell: (master, report) => this.sync?.handle.setRole(master, report),
      extras: () => ({
        version: VERSION,
        own: ownAddresses(this.vips, this.links),
        lists: Object.fromEntries(this.vips.map((vip) => [vipKey(vip), vip.addresses])),
        ...(this.channel?.own ? { channel: this.channel.own } : {}),
        lastWords: this.adverts.lastCounter.toString(16).padStart(16, '0'),
      }),
    });
    this.election = new Election(
      groupConfig(this.config, this.vips, this.links),
      {
        role: (action) => this.onRole(action),
        sendAdvert: (action) => this.adverts.send(action),
        announce: (key, reason) => this.vipSet.announce(key, reason),
        event: (event) => this.onElectionEvent(event),
        stopped: (clean, reason) => void this.finish(clean, reason),
        roles: () => this.report(),
        alive: (now) => {
          this.sync?.handle.alive();
          this.guard.beat(now, masterKeys(this.election.state));
        },
        changed: () => this.onChanged(),
      },
      REAL_CLOCK,
      recorder,
    );
  }

  /**
   * Brings everything up. The order matters: nobody may hear from this node before its table of rules stands, and no
   * address may come up before connections are tracked and mirrored.
   * @throws Error with one line that says what is missing; then everything is let go of again
   */
  async start(): Promise<void> {
    try {
      this.control = await startControl(this.config.node.control, this.handlers());
      const guarded = this.guard.start();
      await this.firewall.apply(this.config, this.vips);
      await guarded;
      this.vipSet.apply(this.vips, this.links);
      this.watch = watchLinks((links) => this.onLinks(links), { onError: (error) => this.log.error(error.message) });
      this.links = this.watch.links();
      await this.startSync();
      await this.startFeed();
      this.tracks = startTracks(this.config.track, {
        demote: (reason, weight) => this.election.feed({ type: 'demote', reason, weight }),
        undemote: (reason) => this.election.feed({ type: 'undemote', reason }),
        warn: (message) => this.log.warning(message),
      });
    } catch (error) {
      await this.release();
      throw error;
    }
    this.feedLinks();
    this.neighbours.onLinks(this.links);
    this.channel?.setOwn(syncAddresses(this.config, this.links));
    this.weighSync();
    if (this.handOver.wasOn()) this.election.feed({ type: 'maintenance', on: true });
    this.election.feed({ type: 'start' });
    this.publish({ kind: 'node.start', version: VERSION });
    this.beginReplicate();
    this.serve();
    this.settled();
  }

  private beginReplicate(): void {
    if (this.config.replicate !== null && this.replicate === null) {
      this.log.warning('[replicate] has no effect: it needs [sync] with a key_file');
    }
    this.replicate?.begin();
    this.replicate?.hold();
    void this.replicate?.settle();
  }

  /** Hands over, then lets go of everything. A second call does not wait for the peer. */
  stop(): void {
    if (this.election.state.stopping !== null) {
      void this.finish(false, 'told twice to stop');
      return;
    }
    this.log.info('stopping: handing over first');
    this.service.stopping();
    this.election.feed({ type: 'stop' });
  }

  /** Takes over a changed configuration as a difference: what has not changed is not touched (invariant 6). */
  async reload(prepared: Prepared): Promise<void> {
    this.service.reloading(nowUs());
    const failed = await this.change(prepared);
    if (failed !== null) this.log.error(`reload refused, nothing was changed: ${failed}`);
    this.service.reloaded();
  }

  /** What a reload lays over the file of a replica; `undefined`: what stands in the state directory. */
  get sharedForReload(): SharedDocument | undefined {
    return this.replicate?.sharedForReload;
  }

  /** One change after the other. Resolves with why it could not be; then what was before is in force. */
  private change(prepared: Prepared): Promise<string | null> {
    const run = this.changing.then(() => this.changeOrGoBack(prepared));
    this.changing = run;
    return run;
  }

  private async changeOrGoBack(prepared: Prepared): Promise<string | null> {
    if (this.ended === null) return 'carpio is stopping';
    const before = this.current;
    this.replicate?.hold();
    try {
      await this.firewall.apply(prepared.config, prepared.vips);
      try {
        this.takeOver(prepared);
      } catch (error) {
        await this.firewall.apply(before.config, before.vips);
        this.takeOver(before);
        throw error;
      }
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      await this.replicate?.settle();
    }
  }

  // The rules stand already: nothing here may wait, or the two would not fit each other meanwhile.
  private takeOver(prepared: Prepared): void {
    const { config, vips } = prepared;
    for (const section of fixedSections(this.config, config)) {
      this.log.warning(`reload: the change of ${section} counts from the next start of carpio`);
    }
    this.current = prepared;
    this.config = config;
    this.vips = vips;
    this.journal.level = config.carp.log;
    this.election.feed({ type: 'config', config: groupConfig(config, vips, this.links) });
    this.vipSet.apply(vips, this.links);
    this.neighbours.configure(config, this.links);
    this.tracks?.close();
    this.tracks = startTracks(config.track, {
      demote: (reason, weight) => this.election.feed({ type: 'demote', reason, weight }),
      undemote: (reason) => this.election.feed({ type: 'undemote', reason }),
      warn: (message) => this.log.warning(message),
    });
    this.feedLinks();
    this.publish({ kind: 'node.reload' });
  }

  /** A recording needs the whole state of the worker's machine. */
  recordState(): void {
    this.sync?.handle.snapshot();
  }

  status(): NodeStatus {
    return makeStatus({
      name: this.config.node.name,
      version: VERSION,
      startedUs: this.startedUs,
      group: this.election.state,
      vips: this.vipSet.facts,
      counters: this.adverts.counters,
      sync: this.sync,
      channel: this.channel?.status() ?? null,
      replicate: this.replicate?.status() ?? null,
    });
  }

  /** The control socket is taken first, so that a second instance is refused; answers wait until there is a node. */
  private handlers() {
    const handlers = makeHandlers({
      status: () => this.status(),
      feed: (event: GroupEvent) => this.election.feed(event),
      sync: () => this.sync,
      maintenance: (on, signal) => this.maintenance(on, signal),
      peerCheck: () => this.peerCheck.run(),
      sysctl: (name, value) => this.sysctl(name, value),
      replicate: () => this.replicate,
    });
    const waiting = Object.entries(handlers).map(([name, handler]): [string, ControlHandler] => [
      name,
      (args, stream) => this.started.then(() => handler(args, stream)),
    ]);
    return Object.fromEntries(waiting);
  }

  private maintenance(on: boolean, signal: AbortSignal): Promise<MaintenanceResult> {
    return this.handOver.change(on, signal, () => this.election.feed({ type: 'maintenance', on }));
  }

  private sysctl(name: string, value: number | null): SysctlResult {
    const settings = {
      group: this.election.state,
      log: this.journal.level,
      setLog: (level: number) => {
        this.journal.level = level;
      },
      feed: (event: GroupEvent) => this.election.feed(event),
    };
    return sysctl(settings, name, value);
  }

  private async startSync(): Promise<void> {
    const { sync } = this.config;
    if (sync === null) return;
    if (sync.key === null) {
      this.log.warning('sync is OPEN: no [sync] key_file, so anybody on the sync link can read and change states');
      this.log.warning(
        'there is NO peer channel: without [sync] key_file the nodes cannot replicate or ask each other',
      );
    }
    if (sync.key !== null) {
      this.neighbours.trustPeer(new Uint8Array(sync.key.reveal()), this.config, this.links);
    }
    this.sync = new SyncSide(this.config, sync, this.links, this.assets, {
      event: (kind, fields) => this.publish({ kind, ...fields }),
      peer: (received) => this.onPeer(received),
      step: () => this.onStep(),
      failed: (reason) => this.fail(reason),
      recorder: this.recorder,
    });
    await this.sync.handle.ready();
  }

  private makeReplicate(candidate: (shared: SharedDocument | null) => PrepareResult): ReplicateSide | null {
    const { replicate, sync } = this.config;
    if (replicate === null || this.channel === null || !sync?.key) return null;
    const ports = {
      current: () => this.current,
      links: () => this.links,
      candidate,
      change: (prepared: Prepared) => this.change(prepared),
      checkRules: async ({ config, vips }: Prepared) => {
        try {
          await this.firewall.check(config, vips);
          return null;
        } catch (error) {
          return error instanceof Error ? error.message : String(error);
        }
      },
      rules: () => this.firewall.rules,
      roles: () =>
        Object.fromEntries(
          Object.values(this.election.state.vhids).map((v) => [`${v.config.interface}/${v.config.vhid}`, v.state]),
        ),
      publish: (event: NodeEvent) => this.publish(event),
      warn: (message: string) => this.log.warning(message),
    };
    return new ReplicateSide(sync.key.reveal(), ports, this.channel);
  }

  private onPeer(received: ReceivedReport | null): void {
    this.neighbours.onPeer(received);
    this.channel?.learnPeer(received?.channel ?? null);
    if (received !== null) this.channel?.nudge();
  }

  private onUnmasked({ key, from }: MaskedAdvert, reason: string): void {
    this.adverts.count('unmasked');
    const v = this.election.state.vhids[key];
    this.onRefused('unmasked', roleOf(key), v?.config.vhid ?? null, from, reason);
  }

  private async startFeed(): Promise<void> {
    const { feed } = this.config;
    if (feed === null) return;
    const { token } = feed;
    const listening = await startFeed({
      listen: feed.listen,
      token: token === null ? null : () => token.reveal().toString('utf8'),
      tls: feed.tls === null ? null : { cert: readFileSync(feed.tls.cert), key: readFileSync(feed.tls.key) },
      getStatus: () => this.status(),
      getSample: () => sampleOf(this.status(), this.sync?.handle.stat('inserted') ?? null),
      getHealth: () => this.health(),
      page: this.assets.page,
    });
    this.journal.feed = listening;
    this.log.info(`feed on ${listening.addresses.join(', ')}`);
  }

  private health(): string | null {
    const handle = this.sync?.handle;
    if (handle === undefined) return null;
    const silent = handle.now() - handle.stat('passAt');
    return silent > 5000 ? `the dataplane has not turned for ${Math.round(silent / 1000)} s` : null;
  }

  private onLinks(links: LinkInfo[]): void {
    this.election.look();
    this.links = links;
    this.feedLinks();
    for (const { key, reason } of this.vipSet.faults(links)) this.vipFaults.found(key, reason);
    this.vipSet.onLinks(this.vips, links);
    this.neighbours.onLinks(links);
    this.sync?.handle.setLocal(localAddresses(links));
    this.channel?.setOwn(syncAddresses(this.config, links));
  }

  private feedLinks(): void {
    for (const link of linkStates(this.config, this.links)) {
      if (link.present) this.adverts.listenFor(this.vips, link);
      else this.adverts.unlisten(link.role);
      this.election.feed({ type: 'link', interface: link.role, up: link.up, present: link.present });
    }
  }

  private onRole(action: RoleAction): void {
    const fault = this.vipSet.onRole(action.key, action.to === 'MASTER');
    // One that cannot be let go of is gone, or the guardian's business.
    if (fault !== null && action.to === 'MASTER') this.vipFaults.found(action.key, fault);
    const v = this.election.state.vhids[action.key];
    const { from, to, reason } = action;
    this.neighbours.onRole(action.key, to);
    this.publish({
      kind: 'carp.state',
      vhid: v?.config.vhid ?? 0,
      interface: v?.config.interface ?? '',
      from,
      to,
      reason,
    });
  }

  private onElectionEvent(event: NodeEvent): void {
    this.handOver.onEvent(event);
    this.publish(event);
  }

  private serve(): void {
    const { watchdog, watchdog_s } = this.config.service;
    this.service.ready(watchdog === null ? null : { device: watchdog, timeoutS: watchdog_s });
  }

  // After each run of the election: the peer hears of it, and the demotion `sync` fits the new role.
  private onChanged(): void {
    this.vipSet.setPaired(wasPaired(this.election.state));
    this.weighSync();
    this.report();
  }

  private report(): void {
    this.guard.beat(nowUs(), masterKeys(this.election.state));
    this.standing.report();
  }

  private syncFacts(): { inStep: boolean | null; checkedMs: number } | null {
    const handle = this.sync?.handle;
    return handle === undefined ? null : { inStep: handle.inStep, checkedMs: handle.stat('checkedAt') };
  }

  private onStep(): void {
    const handle = this.sync?.handle;
    if (handle === undefined) return;
    this.publish({ kind: 'sync.in_step', in_step: handle.inStep, reason: handle.inStepReason });
    this.onChanged();
  }

  private weighSync(): void {
    this.standing.weigh(this.config.sync !== null);
  }

  private onRefused(counter: string, role: string, vhid: number | null, from: string | null, reason = ''): void {
    this.neighbours.onRefused(counter, role, vhid, from);
    this.journal.refused(counter, role, vhid, from, reason);
  }

  private publish(event: NodeEvent): void {
    this.journal.publish(event);
  }

  // Without its dataplane the node cannot keep what it promises: it lets go of the addresses and ends, to be started again.
  private fail(reason: string): void {
    this.log.error(`the dataplane failed: ${reason}; letting go of everything`);
    this.exitCode = 1;
    this.stop();
  }

  private exitCode = 0;

  private async finish(clean: boolean, reason: string): Promise<void> {
    const ended = this.ended;
    if (ended === null) return;
    this.ended = null;
    this.log.info(clean ? `stopped: ${reason}` : `stopped, not handed over cleanly: ${reason}`);
    this.publish({ kind: 'node.stop', clean, reason, demotion: demotionTotal(this.election.state) });
    await this.release();
    ended(this.exitCode);
  }

  private async release(): Promise<void> {
    this.election.close();
    this.replicate?.close();
    this.channel?.close();
    this.service.close();
    this.vipFaults.close();
    this.neighbours.close();
    this.tracks?.close();
    // The last advert (bow-out) is still on its way through the socket.
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.vipSet.close();
    await this.guard.stop();
    this.adverts.close();
    this.watch?.close();
    await this.sync?.handle.stop();
    await this.journal.feed?.close();
    await this.control?.close();
    await this.firewall.release();
  }
}

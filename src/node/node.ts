/**
 * One Carpio node from start to stop: builds the parts, connects them, and lets go of everything in the right order.
 */
import { dirname } from 'node:path';
import { demotionTotal } from '../carp/context.ts';
import type { GroupEvent } from '../carp/types.ts';
import type { PeerChannel } from '../channel/channel.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { HandOverCause } from '../contract/causes.ts';
import { nowUs } from '../contract/clock.ts';
import type { MaintenanceResult, SysctlResult } from '../contract/control.ts';
import type { NodeEvent, ReplicateEvent } from '../contract/events.ts';
import type { NodeStatus } from '../contract/status.ts';
import { VERSION } from '../contract/version.ts';
import { causeText } from '../contract/words.ts';
import { GATE_TABLE } from '../gate/table.ts';
import type { LinkInfo, LinkWatch } from '../kernel/links.ts';
import { watchLinks } from '../kernel/links.ts';
import { NftTables } from '../kernel/nft-tables.ts';
import type { ReceivedReport } from '../liveness/peer-report.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { SharedDocument } from '../replicate/document.ts';
import type { Prepared, PrepareResult } from '../replicate/prepared.ts';
import type { Assets } from './assets.ts';
import { CarpSide } from './carp.ts';
import { Changes } from './changes.ts';
import { makePeerChannel, syncAddresses } from './channel.ts';
import { afterwards, makeHandlers } from './control/handlers.ts';
import { sysctl } from './control/oids.ts';
import { PeerCheckSide } from './control/peer-check.ts';
import type { ControlServer } from './control/server.ts';
import { startControl } from './control/server.ts';
import { openFeed } from './feed.ts';
import { Firewall, rulesText } from './firewall.ts';
import { fixedSections } from './fixed-sections.ts';
import { HandOver } from './maintenance.ts';
import { PairKey } from './pair-key.ts';
import { ReplicateSide } from './replication.ts';
import { Journal } from './report/journal.ts';
import type { Log } from './report/log.ts';
import { Service, serviceLine } from './service.ts';
import { SettingsKeeper } from './settings-keeper.ts';
import { makeStatus } from './status.ts';
import { OPEN_WARNINGS, SyncSide } from './sync.ts';
import { TableKeeper } from './table-keeper.ts';
import { Tracks } from './tracks.ts';
import { TroubleTracker } from './trouble/tracker.ts';

export class CarpioNode {
  private config: Config;
  private vips: ResolvedVip[];
  private links: LinkInfo[];
  private readonly log: Log;
  private readonly recorder: Recorder | null;
  private readonly assets: Assets;
  private readonly startedUs = nowUs();
  private readonly carp: CarpSide;
  private readonly firewall: Firewall;
  private readonly handOver: HandOver;
  private readonly journal: Journal;
  private readonly trouble = new TroubleTracker();
  private readonly service: Service;
  private sync: SyncSide | null = null;
  private readonly pairKey: PairKey;
  private readonly channel: PeerChannel | null;
  private readonly peerCheck: PeerCheckSide;
  private readonly replicate: ReplicateSide | null;
  private current: Prepared;
  private readonly changes = this.makeChanges();
  private control: ControlServer | null = null;
  private watch: LinkWatch | null = null;
  private readonly tracks: Tracks;
  private tables: TableKeeper | null = null;
  private settings: SettingsKeeper | null = null;
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
    this.journal.onEvent = (event) => this.trouble.onEvent(event, Date.now());
    this.handOver = new HandOver(this.config.node.state_dir, log);
    const runDir = dirname(this.config.node.control);
    this.firewall = new Firewall(runDir, log);
    this.service = new Service(process.env, {
      fault: () => this.health(),
      line: () => serviceLine(this.status()),
      warn: (message) => log.warning(message),
    });
    this.pairKey = new PairKey(this.config, (secrets) => {
      this.sync?.handle.setKeys(secrets);
      this.channel?.setSecrets(secrets);
      this.carp.trustPeer(secrets);
    });
    this.channel = makePeerChannel(this.config, this.pairKey.secrets, {
      publish: (event) => this.publish(event),
      warn: (message) => log.warning(message),
    });
    this.channel?.onLost(() => this.carp.onChannelEnded());
    this.replicate = this.makeReplicate(candidate);
    this.carp = new CarpSide(prepared, {
      log,
      journal: this.journal,
      recorder,
      runDir,
      electionEvent: (event) => this.handOver.onEvent(event),
      stopped: (clean, cause) => void this.finish(clean, cause),
      sync: () => this.sync,
      changesTables: (begins) => (begins ? this.tables?.hold() : this.tables?.settle()),
      channelAddress: () => this.channel?.own ?? null,
    });
    this.tracks = new Tracks({
      demote: (reason, weight) => this.carp.election.feed({ type: 'demote', reason, weight }),
      undemote: (reason) => this.carp.election.feed({ type: 'undemote', reason }),
      warn: (message) => log.warning(message),
    });
    this.peerCheck = new PeerCheckSide(this.channel, {
      config: () => this.config,
      vips: () => this.vips,
      status: () => this.status(),
      multicast: (role, ms) => this.carp.neighbours.multicast(role, ms),
      rules: () => this.firewall.rules.text,
    });
  }

  /**
   * Brings everything up. The order matters: nobody may hear from this node before its table of rules stands, and no
   * address may come up before connections are tracked and mirrored.
   * @throws Error with one line that says what is missing; then everything is let go of again
   */
  async start(): Promise<void> {
    // Until this node holds the socket, another one may run here: what stands is that one's, and nothing is let go of.
    this.control = await startControl(this.config.node.control, this.handlers());
    try {
      const prepared = this.carp.prepare();
      await this.firewall.apply(this.config, this.vips);
      this.keepTables();
      await prepared;
      await this.carp.makeDevices();
      this.watch = watchLinks((links) => this.onLinks(links), { onError: (error) => this.log.error(error.message) });
      this.links = this.watch.links();
      this.carp.setLinks(this.links);
      await this.startSync();
      await this.startFeed();
      this.tracks.watch(this.config.track);
    } catch (error) {
      await this.release();
      throw error;
    }
    this.channel?.setOwn(syncAddresses(this.config, this.links));
    this.carp.begin(this.links, this.handOver.wasOn());
    this.publish({ kind: 'node.start', version: VERSION });
    this.beginReplicate();
    this.serve();
    this.settled();
  }

  private keepTables(): void {
    // The gate first: without it a backup answers for the virtual addresses. The kernel itself takes chains out of its
    // table when a device goes, so that its content is no sign of a loss.
    const kept = [
      { tables: () => [{ table: GATE_TABLE, whole: false }], make: () => this.carp.makeGateAgain() },
      { tables: () => this.firewall.kept, make: () => this.changes.again() },
    ];
    this.tables = new TableKeeper(kept, new NftTables(), {
      publish: (event) => this.publish(event),
      demote: (reason, weight) => this.carp.election.feed({ type: 'demote', reason, weight }),
      undemote: (reason) => this.carp.election.feed({ type: 'undemote', reason }),
      warn: (message) => this.log.warning(message),
      nowMs: () => nowUs() / 1000,
    });
    this.tables.begin();
    this.settings = new SettingsKeeper({
      putBack: () => [...this.firewall.putBackSettings(), ...this.carp.vipSet.putBackSettings()],
      publish: (event) => this.publish(event),
      warn: (message) => this.log.warning(message),
    });
    this.settings.begin();
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
    if (this.carp.group.stopping !== null) {
      void this.finish(false, { why: 'told_twice' });
      return;
    }
    this.log.info('stopping: handing over first');
    this.service.stopping();
    this.carp.election.feed({ type: 'stop' });
  }

  /** Takes over a changed configuration as a difference: what has not changed is not touched (invariant 6). */
  async reload(prepared: Prepared): Promise<void> {
    this.service.reloading(nowUs());
    const failed = await this.changes.make(prepared);
    if (failed !== null) this.log.error(`reload refused, nothing was changed: ${failed}`);
    this.service.reloaded();
  }

  /** What a reload lays over the file of a replica; `undefined`: what stands in the state directory. */
  get sharedForReload(): SharedDocument | undefined {
    return this.replicate?.sharedForReload;
  }

  private makeChanges(): Changes {
    return new Changes({
      current: () => this.current,
      ended: () => (this.ended === null ? 'carpio is stopping' : null),
      applyRules: ({ config, vips }) => this.firewall.apply(config, vips),
      takeOver: (prepared) => this.takeOver(prepared),
      loadAgain: () => this.firewall.again(),
      hold: () => {
        this.tables?.hold();
        this.replicate?.hold();
      },
      settle: async () => {
        this.tables?.settle();
        await this.replicate?.settle();
      },
    });
  }

  private async takeOver(prepared: Prepared): Promise<void> {
    const { config, vips } = prepared;
    await this.carp.change(prepared);
    for (const section of fixedSections(this.config, config)) {
      this.log.warning(`reload: the change of ${section} counts from the next start of carpio`);
    }
    this.current = prepared;
    this.config = config;
    this.vips = vips;
    this.journal.level = config.carp.log;
    this.sync?.setVirtual(config, this.links);
    if (this.pairKey.change(config))
      this.log.info("the pair's key is another one; the one before counts until both nodes have it");
    this.tracks.watch(config.track);
    this.trouble.keepVhids(new Set(vips.map(({ vhid, interface: role }) => `vhid ${vhid} on ${role}`)));
    this.publish({ kind: 'node.reload' });
  }

  /** A recording needs the whole state of the worker's machine. */
  recordState(): void {
    this.sync?.handle.snapshot();
  }

  status(): NodeStatus {
    const status = makeStatus({
      name: this.config.node.name,
      version: VERSION,
      startedUs: this.startedUs,
      group: this.carp.group,
      vips: this.carp.vipSet.facts,
      gate: (key) => this.carp.gates.gate(key),
      counters: this.carp.adverts.counters,
      sync: this.sync,
      channel: this.channel?.status() ?? null,
      replicate: this.replicate?.status() ?? null,
    });
    return { ...status, trouble: this.trouble.look(status, Date.now()) };
  }

  /** The control socket is taken first, so that a second instance is refused; answers wait until there is a node. */
  private handlers() {
    return afterwards(
      this.started,
      makeHandlers({
        status: () => this.status(),
        feed: (event: GroupEvent) => this.carp.election.feed(event),
        sync: () => this.sync,
        maintenance: (on, signal) => this.maintenance(on, signal),
        peerCheck: () => this.peerCheck.run(),
        sysctl: (name, value) => this.sysctl(name, value),
        replicate: () => this.replicate,
      }),
    );
  }

  private maintenance(on: boolean, signal: AbortSignal): Promise<MaintenanceResult> {
    return this.handOver.change(on, signal, () => this.carp.election.feed({ type: 'maintenance', on }));
  }

  private sysctl(name: string, value: number | null): SysctlResult {
    const settings = {
      group: this.carp.group,
      log: this.journal.level,
      setLog: (level: number) => {
        this.journal.level = level;
      },
      feed: (event: GroupEvent) => this.carp.election.feed(event),
    };
    return sysctl(settings, name, value);
  }

  private async startSync(): Promise<void> {
    const { sync } = this.config;
    if (sync === null) return;
    const { secrets } = this.pairKey;
    if (secrets.length > 0) this.carp.trustPeer(secrets);
    else for (const warning of OPEN_WARNINGS) this.log.warning(warning);
    this.sync = new SyncSide(this.config, sync, secrets, this.links, this.assets, {
      notice: (notice) => this.publish(notice),
      peer: (received) => this.onPeer(received),
      step: () => this.onStep(),
      failed: (reason) => this.fail(reason),
      keySettled: () => this.pairKey.settle(),
      warn: (message) => this.log.warning(message),
      recorder: this.recorder,
    });
    await this.sync.ready();
  }

  private makeReplicate(candidate: (shared: SharedDocument | null) => PrepareResult): ReplicateSide | null {
    const { replicate, sync } = this.config;
    if (replicate === null || this.channel === null || !sync?.key) return null;
    const ports = {
      current: () => this.current,
      links: () => this.links,
      candidate,
      change: (prepared: Prepared) => this.changes.make(prepared),
      checkRules: ({ config, vips }: Prepared) => this.firewall.objection(config, vips),
      rules: () => this.firewall.rules,
      rulesOf: ({ config }: Prepared) => rulesText(config),
      roles: () => this.carp.roles(),
      publish: (event: ReplicateEvent) => this.publish(event),
      warn: (message: string) => this.log.warning(message),
    };
    return new ReplicateSide(ports, this.channel);
  }

  private onPeer(received: ReceivedReport | null): void {
    this.carp.onPeer(received);
    this.channel?.learnPeer(received?.channel ?? null);
    if (received !== null) this.channel?.nudge();
  }

  private async startFeed(): Promise<void> {
    const { feed } = this.config;
    if (feed === null) return;
    const listening = await openFeed(feed, this.assets.page, {
      status: () => this.status(),
      inserted: () => this.sync?.handle.stat('inserted') ?? null,
      health: () => this.health(),
    });
    this.journal.feed = listening;
    this.log.info(`feed on ${listening.addresses.join(', ')}`);
  }

  private health(): string | null {
    return this.sync?.fault() ?? null;
  }

  private onLinks(links: LinkInfo[]): void {
    this.links = links;
    this.carp.onLinks(links);
    this.sync?.onLinks(links);
    this.channel?.setOwn(syncAddresses(this.config, links));
  }

  private serve(): void {
    const { watchdog, watchdog_s } = this.config.service;
    this.service.ready(watchdog === null ? null : { device: watchdog, timeoutS: watchdog_s });
  }

  private onStep(): void {
    const handle = this.sync?.handle;
    if (handle === undefined) return;
    this.publish({ kind: 'sync.in_step', in_step: handle.inStep, reason: handle.inStepReason });
    this.carp.onChanged();
  }

  private publish(event: NodeEvent): void {
    this.journal.publish(event);
  }

  // Without its dataplane the node cannot keep what it promises: it lets go of the addresses and ends, to be started
  // again.
  private fail(reason: string): void {
    this.log.error(`the dataplane failed: ${reason}; letting go of everything`);
    this.exitCode = 1;
    this.stop();
  }

  private exitCode = 0;

  private async finish(clean: boolean, cause: HandOverCause): Promise<void> {
    const ended = this.ended;
    if (ended === null) return;
    this.ended = null;
    const reason = causeText(cause);
    this.log.info(clean ? `stopped: ${reason}` : `stopped, not handed over cleanly: ${reason}`);
    this.publish({ kind: 'node.stop', clean, cause, demotion: demotionTotal(this.carp.group) });
    await this.release();
    ended(this.exitCode);
  }

  private async release(): Promise<void> {
    this.carp.closeEars();
    this.replicate?.close();
    this.tables?.close();
    this.settings?.close();
    this.channel?.close();
    this.service.close();
    this.tracks.close();
    await this.carp.letGo();
    this.watch?.close();
    await this.sync?.stop();
    await this.journal.feed?.close();
    await this.control?.close();
    await this.firewall.release();
  }
}

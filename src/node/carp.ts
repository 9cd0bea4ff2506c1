/**
 * The node's CARP: the election with everything that it hears and does (adverts, neighbours, virtual addresses and what
 * is wrong with them, their gates, what the peer is told of this node). What is not CARP comes through the ports.
 */

import { Adverts } from '../carp/adverts.ts';
import { groupConfig, linkStates } from '../carp/group-config.ts';
import { OwnSources } from '../carp/own-sources.ts';
import type { RoleAction } from '../carp/runner.ts';
import { Election } from '../carp/runner.ts';
import type { ArrivedAdvert, GroupConfig, GroupEvent, GroupState } from '../carp/types.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { DeniedCause, HandOverCause } from '../contract/causes.ts';
import { REAL_CLOCK } from '../contract/clock.ts';
import type { NodeEvent } from '../contract/events.ts';
import type { CarpState } from '../contract/values.ts';
import { VERSION } from '../contract/version.ts';
import { roleOfKey, type VhidKey, vhidKey } from '../contract/vhid-key.ts';
import { causeText } from '../contract/words.ts';
import { KernelGate } from '../gate/kernel-gate.ts';
import { gateProbe } from '../gate/probe.ts';
import { type GateOrder, Gates } from '../gate/runner.ts';
import { VipFaults } from '../gate/vip-faults.ts';
import { VipSet } from '../gate/vip-set.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { ownAddresses } from '../liveness/early-take-over.ts';
import { Neighbours } from '../liveness/neighbours.ts';
import type { ReceivedReport } from '../liveness/peer-report.ts';
import { AdvertProof } from '../liveness/proof/runner.ts';
import { ProofStore } from '../liveness/proof/store.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { Prepared } from '../replicate/prepared.ts';
import type { Journal } from './report/journal.ts';
import type { Log } from './report/log.ts';
import { Standing } from './standing.ts';
import type { SyncSide } from './sync.ts';

interface CarpSidePorts {
  log: Log;
  journal: Journal;
  recorder: Recorder | null;
  /** Where changed kernel settings are noted for the next run. */
  runDir: string;
  /** An event of the election, before it is published. */
  electionEvent(event: NodeEvent): void;
  /** The election has ended: everything is to be let go of. */
  stopped(clean: boolean, cause: HandOverCause): void;
  sync(): SyncSide | null;
  /** This node begins to change its tables of nftables, or has done so: it is no loss. */
  changesTables(begins: boolean): void;
  /** The address of this node's peer channel; null: none. */
  channelAddress(): string | null;
}

export class CarpSide {
  readonly election: Election;
  readonly adverts: Adverts;
  readonly vipSet: VipSet;
  readonly neighbours: Neighbours;
  private readonly proof: AdvertProof;
  readonly gates: Gates;
  private readonly kernelGate = new KernelGate();
  private readonly vipFaults: VipFaults;
  private readonly standing: Standing;
  private readonly sources: OwnSources;
  private readonly ports: CarpSidePorts;
  private config: Config;
  private vips: ResolvedVip[];
  private links: LinkInfo[];

  constructor(prepared: Prepared, ports: CarpSidePorts) {
    this.ports = ports;
    this.config = prepared.config;
    this.vips = prepared.vips;
    this.links = prepared.links;
    const { log, recorder, runDir } = ports;
    const warn = (message: string): void => log.warning(message);
    this.adverts = new Adverts({
      advert: (arrived) => this.onAdvert(arrived),
      prove: (advert) => this.proof.prove(advert),
      sendResult: (key, ok) => this.election.feed({ type: 'sendResult', key, ok }),
      refused: (counter, role, vhid, from) => this.onRefused(counter, role, vhid, from),
      warn,
      look: () => this.election.look(),
    });
    const store = new ProofStore(this.config.node.state_dir, warn);
    this.proof = new AdvertProof({
      read: () => store.read(),
      write: (memory) => store.write(memory),
      changed: (on) => this.publish({ kind: 'carp.proof', on }),
    });
    this.proof.setOthers(this.config.carp.peers_only);
    this.gates = this.makeGates(warn);
    this.vipSet = this.makeVipSet(runDir, log);
    this.neighbours = new Neighbours({
      publish: (event) => this.publish(event),
      feed: (event) => this.onNeighbour(event),
      unmasked: (masked, cause) => this.onUnmasked(masked, cause),
      group: () => this.election.state,
      mac: (key) => this.vipSet.facts.get(key)?.mac ?? null,
      vips: () => this.vips,
      look: () => this.election.look(),
      warn,
      taps: recorder,
    });
    this.vipFaults = new VipFaults({
      tell: (key, reason) => this.election.feed({ type: 'vip', key, ok: reason === null, reason: reason ?? '' }),
      repair: (key) => this.vipSet.repair(key, this.links),
      warn,
    });
    this.standing = this.makeStanding();
    this.election = this.makeElection();
    const feed = (config: GroupConfig): void => this.election.feed({ type: 'config', config });
    this.sources = new OwnSources(this.election.state.config, feed, REAL_CLOCK);
  }

  get group(): GroupState {
    return this.election.state;
  }

  /** By `role/vhid`. */
  roles(): Record<string, CarpState> {
    const all = Object.values(this.group.vhids);
    return Object.fromEntries(all.map((v) => [v.config.key, v.state]));
  }

  /** Reads what outlived the last run. */
  prepare(): Promise<void> {
    return this.proof.begin();
  }

  /** The devices of the virtual addresses, each behind its gate. @throws Error in one line */
  async makeDevices(): Promise<void> {
    const { ok, found, mend } = await gateProbe();
    if (!ok) throw new Error(`no gate can be made here: ${found}${mend === null ? '' : `; ${mend}`}`);
    await this.vipSet.apply(this.vips, this.links);
  }

  /** @param maintenance the node was in maintenance when it ended */
  begin(links: LinkInfo[], maintenance: boolean): void {
    this.links = links;
    this.sources.look(groupConfig(this.config, this.vips, links));
    this.feedLinks();
    this.neighbours.onLinks(links);
    this.weigh();
    if (maintenance) this.election.feed({ type: 'maintenance', on: true });
    this.election.feed({ type: 'start' });
  }

  /**
   * Takes a changed configuration over as a difference: what has not changed is not touched.
   * @throws (rejects with) Error in one line; then no role and no timer has changed
   */
  async change({ config, vips }: Prepared): Promise<void> {
    await this.vipSet.apply(vips, this.links);
    this.config = config;
    this.vips = vips;
    this.proof.setOthers(config.carp.peers_only);
    this.sources.now(groupConfig(config, vips, this.links));
    this.vipSet.prune(vips);
    this.neighbours.configure(config, this.links);
    this.feedLinks();
  }

  /** The pair's key, or another one: from now on the peer's word on the sync link counts. */
  trustPeer(secrets: readonly Uint8Array[]): void {
    this.proof.setSecrets(secrets);
    this.neighbours.trustPeer(secrets, this.config, this.links);
  }

  setLinks(links: LinkInfo[]): void {
    this.links = links;
  }

  onLinks(links: LinkInfo[]): void {
    this.election.look();
    this.links = links;
    this.feedLinks();
    for (const { key, reason } of this.vipSet.faults(links)) this.vipFaults.found(key, reason);
    this.vipSet.onLinks(this.vips, links);
    this.sources.look(groupConfig(this.config, this.vips, links));
    this.neighbours.onLinks(links);
  }

  onPeer(received: ReceivedReport | null): void {
    // A report that waited while this node slept must not open a gate.
    this.election.look();
    // A silent peer goes on proving: only its own word takes that back.
    if (received !== null) this.proof.onReport(received.proof);
    if (received !== null) this.gates.feed({ type: 'peer', open: received.open });
    this.neighbours.onPeer(received);
  }

  /** The peer channel's connection has ended: its kernel may have closed it because the peer's daemon died. */
  onChannelEnded(): void {
    this.election.look();
    this.neighbours.onChannelEnded();
  }

  /** After each run of the election, and when the comparison of states has news. */
  onChanged(): void {
    this.weigh();
    this.report();
  }

  /** Stops to hear and to decide; the addresses are still there. */
  closeEars(): void {
    this.election.close();
    this.sources.close();
    this.vipFaults.close();
    this.neighbours.close();
  }

  /** Removes devices and addresses when the bow-outs have left, then the gate: nothing is behind it any more. */
  async letGo(): Promise<void> {
    await this.vipSet.close();
    this.gates.close();
    const failed = await this.kernelGate.remove();
    if (failed !== null) this.ports.log.warning(`the nftables table of the gate stays: ${failed.split('\n')[0]}`);
    this.adverts.close();
    await this.proof.close();
  }

  /** Somebody has removed the gate's table: it is made anew. Resolves with null, or what failed. */
  makeGateAgain(): Promise<string | null> {
    this.kernelGate.forget();
    return this.vipSet.rearm();
  }

  private makeGates(warn: (message: string) => void): Gates {
    const ports = {
      send: (kind: GateOrder, keys: readonly VhidKey[]) => this.kernelGate.send(kind, keys),
      opened: (key: VhidKey, waited: boolean) => {
        this.vipSet.follow(key, true);
        // What was announced before met the closed gate.
        if (waited) this.announce(key, 'its gate has opened');
        if (waited) this.report();
      },
      closed: (key: VhidKey) => this.vipSet.follow(key, false),
      look: () => this.election.look(),
      warn,
    };
    return new Gates(ports, REAL_CLOCK);
  }

  private makeVipSet(runDir: string, log: Log): VipSet {
    return new VipSet(
      { node: this.config.node.name, runDir },
      {
        adverts: this.adverts,
        loadGate: async (hosts) => {
          this.ports.changesTables(true);
          try {
            return await this.kernelGate.load(hosts, () => this.gates.open);
          } finally {
            // This node may have slept meanwhile: then nothing is open any more.
            this.election.look();
            this.gates.renew();
            this.ports.changesTables(false);
          }
        },
        forgetGate: () => this.kernelGate.forget(),
        isOpen: (key) => this.gates.isOpen(key),
        fault: (key, reason) => this.vipFaults.found(key, reason),
        log,
      },
    );
  }

  private makeStanding(): Standing {
    const handle = () => this.ports.sync()?.handle;
    return new Standing({
      sync: () => {
        const sync = handle();
        return sync === undefined ? null : { inStep: sync.inStep, checkedMs: sync.stat('checkedAt') };
      },
      group: () => this.election.state,
      wokeUs: () => this.election.wokeUs,
      feed: (event) => this.election.feed(event),
      tell: (master, report) => handle()?.setRole(master, report),
      extras: () => {
        const channel = this.ports.channelAddress();
        const proof = this.proof.note();
        return {
          version: VERSION,
          own: ownAddresses(this.vips, this.links),
          lists: Object.fromEntries(this.vips.map((vip) => [vhidKey(vip), vip.addresses])),
          ...(channel ? { channel } : {}),
          ...(proof ? { proof } : {}),
          open: this.gates.open,
        };
      },
    });
  }

  private makeElection(): Election {
    return new Election(
      groupConfig(this.config, this.vips, this.links),
      {
        role: (action) => this.onRole(action),
        sendAdvert: (action) => this.adverts.send(action),
        announce: (key, cause) => this.announce(key, causeText(cause)),
        event: (event) => {
          this.ports.electionEvent(event);
          this.publish(event);
        },
        stopped: (clean, cause) => this.ports.stopped(clean, cause),
        letGo: (key) => this.gates.feed({ type: 'role', key, master: false }),
        roles: () => this.report(),
        alive: () => {
          this.ports.sync()?.handle.alive();
          this.gates.feed({ type: 'look' });
        },
        changed: () => this.onChanged(),
      },
      REAL_CLOCK,
      this.ports.recorder,
    );
  }

  private feedLinks(): void {
    for (const link of linkStates(this.config, this.links)) {
      if (link.present) this.adverts.listenFor(this.vips, link);
      else this.adverts.unlisten(link.role);
      this.election.feed({ type: 'link', interface: link.role, up: link.up, present: link.present });
    }
  }

  /** Behind a closed gate nothing leaves: then it is announced when the gate opens. */
  private announce(key: VhidKey, why: string): void {
    if (this.gates.isOpen(key)) this.vipSet.announce(key, why);
  }

  private onRole({ key, from, to, cause }: RoleAction): void {
    this.vipSet.onRole(key);
    if (to === 'MASTER') this.gates.feed({ type: 'role', key, master: true });
    const v = this.election.state.vhids[key];
    this.neighbours.onRole(key, to);
    const [vhid, role] = [v?.config.vhid ?? 0, v?.config.interface ?? ''];
    this.publish({ kind: 'carp.state', vhid, interface: role, from, to, cause });
  }

  private report(): void {
    this.standing.report();
  }

  private weigh(): void {
    this.standing.weigh(this.config.sync !== null);
  }

  private onAdvert(masked: ArrivedAdvert): void {
    const { key, family, advert, from } = masked;
    const v = this.election.state.vhids[key];
    const verdict = this.proof.judge(key, { ...advert, vhid: v?.config.vhid ?? 0, family, source: from });
    if (verdict === 'proven' || verdict === 'plain') {
      this.neighbours.onAdvert(masked, verdict === 'proven');
      return;
    }
    this.adverts.count(verdict);
    this.onRefused(verdict, roleOfKey(key), v?.config.vhid ?? null, from, { why: verdict });
  }

  private onNeighbour(event: GroupEvent): void {
    // Before the election opens anything: by now the peer's kernel has closed its gates.
    if (event.type === 'peerDead') this.gates.feed({ type: 'peerDead' });
    this.election.feed(event);
  }

  private onUnmasked({ key, from }: ArrivedAdvert, cause: DeniedCause): void {
    this.adverts.count('unmasked');
    const v = this.election.state.vhids[key];
    this.onRefused('unmasked', roleOfKey(key), v?.config.vhid ?? null, from, cause);
  }

  private onRefused(
    counter: string,
    role: string,
    vhid: number | null,
    from: string | null,
    cause?: DeniedCause,
  ): void {
    this.neighbours.onRefused(counter, role, vhid, from);
    this.ports.journal.refused(counter, role, vhid, from, cause);
  }

  private publish(event: NodeEvent): void {
    this.ports.journal.publish(event);
  }
}

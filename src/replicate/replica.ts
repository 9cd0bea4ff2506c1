/**
 * The node that takes its shared configuration from the other one: checks it, applies it, keeps it once it is
 * confirmed.
 */

import type { Caller } from '../channel/calls.ts';
import { messageOf } from '../contract/message-of.ts';
import type { Json } from '../contract/values.ts';
import { type CommitAction, type CommitEvent, type CommitState, freshCommit, stepCommit } from './commit.ts';
import { describeChanges, diffEntries } from './diff.ts';
import {
  DOCUMENT_FORMAT,
  type Entries,
  entriesHash,
  inForce,
  maskEntries,
  type SharedDocument,
  sharedEntries,
  unknownKeys,
  unsharedKeys,
} from './document.ts';
import {
  type ApplyAnswer,
  abortCall,
  applyCall,
  checkedBody,
  confirmCall,
  type PlanAnswer,
  planCall,
  type StateAnswer,
  type StateCall,
  stateCall,
} from './messages.ts';
import type { ReplicatePorts } from './ports.ts';
import type { Prepared } from './prepared.ts';
import { ReplicaStore } from './store.ts';
import { type KernelTruth, rulesHash } from './truth.ts';

const TICK_MS = 100;
const plain = (value: StateAnswer | PlanAnswer | ApplyAnswer): Json => value as unknown as Json;

interface ReplicaOptions {
  /** Of what is hashed; the same object as long as it is the same key. */
  key: () => Uint8Array;
  version: string;
  stateDir: string;
}

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #ports: ReplicatePorts;
  readonly #truth: KernelTruth;
  readonly #store: ReplicaStore;
  readonly #timer: NodeJS.Timeout;
  #state: CommitState = freshCommit();
  /** Rules may be long, and every status asks for the hash. */
  #hashed: { prepared: Prepared; rules: string | null; key: Uint8Array; hash: string } | null = null;
  /** What to go back to. */
  #before: Prepared | null = null;
  #told: StateCall | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(options: ReplicaOptions, ports: ReplicatePorts, truth: KernelTruth) {
    this.#options = options;
    this.#ports = ports;
    this.#truth = truth;
    this.#store = new ReplicaStore(options.stateDir);
    this.#timer = setInterval(() => this.#step({ type: 'tick' }), TICK_MS);
    this.#timer.unref();
  }

  /**
   * After the start: a push that this node died in the middle of is said. What is in force is the last confirmed one.
   */
  begin(): void {
    if (!this.#store.takeAbandoned()) return;
    const reason = 'this node ended in the middle of a push; the configuration before it is in force';
    this.#ports.publish({ kind: 'replicate.rolled_back', reason });
  }

  get pending(): boolean {
    return this.#state.phase !== 'idle';
  }

  /** What the source last said of itself, and how long ago, ms. */
  get told(): { call: StateCall; ago: number } | null {
    return this.#told === null ? null : { call: this.#told, ago: performance.now() - this.#toldAt };
  }

  get document(): SharedDocument | null {
    return this.#ports.current().replicated;
  }

  entries(prepared: Prepared = this.#ports.current(), rules = this.#ports.rules().text): Entries {
    return inForce(sharedEntries(prepared.config, prepared.vips, rules), prepared.replicated);
  }

  hash(): string {
    const [prepared, rules] = [this.#ports.current(), this.#ports.rules().text];
    const cached = this.#hashed;
    const key = this.#options.key();
    if (cached?.prepared === prepared && cached.rules === rules && cached.key === key) return cached.hash;
    const hash = entriesHash(this.entries(), key);
    this.#hashed = { prepared, rules, key, hash };
    return hash;
  }

  /** Shared parts of this node's own file that say something else than what is in force: they do not count. */
  ignored(own: Prepared, ownRules: string | null): string[] {
    const { document } = this;
    if (document === null) return [];
    const mine = maskEntries(sharedEntries(own.config, own.vips, ownRules), this.#options.key());
    const theirs = maskEntries(inForce(this.entries(), document), this.#options.key());
    return describeChanges(diffEntries(theirs, mine), 20);
  }

  onState(body: Json, caller: Caller): Json {
    this.#mayLead(caller);
    const call = checkedBody(stateCall, body, 'replicate.state');
    this.#told = call;
    this.#toldAt = performance.now();
    const { document } = this;
    return plain({
      hash: this.hash(),
      drift: this.#truth.drift?.lines ?? [],
      unknown: document === null ? [] : unknownKeys(document),
      unshared: document === null ? [] : unsharedKeys(document),
      pending: this.pending,
      version: this.#options.version,
    });
  }

  async onPlan(body: Json, caller: Caller): Promise<Json> {
    this.#mayLead(caller);
    const { document } = checkedBody(planCall, body, 'replicate.plan');
    const key = this.#options.key();
    const judged = await this.#judge(document);
    const answer: PlanAnswer = {
      errors: judged.errors,
      entries: maskEntries(this.entries(), key),
      hash: this.hash(),
      wanted: judged.prepared === null ? null : this.#hashOf(judged.prepared),
      unknown: unknownKeys(document),
      unshared: unsharedKeys(document),
      notes: judged.notes,
      roles: this.#ports.roles(),
    };
    return plain(answer);
  }

  async onApply(body: Json, caller: Caller): Promise<Json> {
    this.#mayLead(caller);
    const { id, document, confirm_ms } = checkedBody(applyCall, body, 'replicate.apply');
    this.#refuseWhilePending();
    const judged = await this.#judge(document);
    const { prepared } = judged;
    if (prepared === null) throw new Error(judged.errors.join('; '));
    this.#must({ type: 'apply', id, confirmMs: confirm_ms });
    const roles = this.#ports.roles();
    this.#before = this.#ports.current();
    const failed = await this.#apply(prepared, document);
    const stands = this.#step({ type: 'applied', error: failed });
    const refused = stands.find((action) => action.type === 'refuse');
    if (refused !== undefined) throw new Error(refused.reason);
    return plain(await this.#readBack(document, roles));
  }

  onConfirm(body: Json, caller: Caller): Json {
    this.#mayLead(caller);
    const { id } = checkedBody(confirmCall, body, 'replicate.confirm');
    this.#must({ type: 'confirm', id });
    if (this.#state.phase === 'undoing') throw new Error('it could not be written to the disk, and was undone');
    return {};
  }

  onAbort(body: Json, caller: Caller): Json {
    this.#mayLead(caller);
    const { id, reason } = checkedBody(abortCall, body, 'replicate.abort');
    this.#must({ type: 'abort', id, reason });
    return {};
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Only the node that this one's own file names may change it. */
  #mayLead(caller: Caller): void {
    const { config } = this.#ports.current();
    const from = config.replicate?.from;
    if (caller.node === from) return;
    throw new Error(`${config.node.name} takes its shared configuration from ${from}, not from ${caller.node}`);
  }

  #refuseWhilePending(): void {
    if (this.pending) throw new Error('another push waits for its confirmation; try again in some seconds');
  }

  /** Everything that can be known without touching anything. */
  async #judge(document: SharedDocument): Promise<{ prepared: Prepared | null; errors: string[]; notes: string[] }> {
    const bad = (...errors: string[]) => ({ prepared: null, errors, notes: [] });
    if (document.format !== DOCUMENT_FORMAT) {
      return bad(
        `the shared configuration of ${document.node} (carpio ${document.version}) has format ${document.format}, this node knows ${DOCUMENT_FORMAT}`,
      );
    }
    const result = this.#ports.candidate(document);
    if (!result.ok) return bad(...result.errors);
    const refused = await this.#ports.checkRules(result.prepared);
    if (refused !== null) return bad(`the kernel does not take the rules: ${refused}`);
    return { prepared: result.prepared, errors: [], notes: this.#notes(result.prepared) };
  }

  #notes(next: Prepared): string[] {
    const { sync } = this.#ports.current().config;
    const keys = ['sync_when', 'ignore', 'defer', 'defer_ms'] as const;
    const changed = keys.filter((key) => JSON.stringify(sync?.[key]) !== JSON.stringify(next.config.sync?.[key]));
    return changed.map((key) => `sync.${key} counts there from the next start of carpio`);
  }

  async #apply(prepared: Prepared, document: SharedDocument): Promise<string | null> {
    try {
      this.#store.stage({ taken: new Date().toISOString(), document });
    } catch (error) {
      return `it cannot be written to the disk: ${messageOf(error)}`;
    }
    const failed = await this.#ports.change(prepared);
    if (failed === null) return null;
    // What was changed half-way is brought back at once.
    if (this.#before !== null) await this.#ports.change(this.#before);
    return failed;
  }

  async #readBack(document: SharedDocument, roles: Record<string, string>): Promise<ApplyAnswer> {
    const now = this.#ports.roles();
    return {
      hash: this.hash(),
      rules: rulesHash(await this.#truth.rules()),
      nft: await this.#truth.nftVersion(),
      addresses: this.#truth.addresses(),
      roles_changed: Object.entries(roles)
        .filter(([vip, role]) => now[vip] !== undefined && now[vip] !== role)
        .map(([vip, role]) => `${vip}: ${role} -> ${now[vip]}`),
      unknown: unknownKeys(document),
    };
  }

  #hashOf(prepared: Prepared): string {
    const { firewall } = prepared.config;
    const rules = firewall?.replicated?.text ?? (firewall?.rules ? this.#ports.rules().text : null);
    return entriesHash(this.entries(prepared, rules), this.#options.key());
  }

  /** @throws Error when the machine refuses */
  #must(event: CommitEvent): void {
    const refused = this.#step(event).find((action) => action.type === 'refuse');
    if (refused !== undefined) throw new Error(refused.reason);
  }

  #step(event: CommitEvent): CommitAction[] {
    const { state, actions } = stepCommit(this.#state, event, performance.now());
    this.#state = state;
    for (const action of actions) this.#act(action);
    return actions;
  }

  #act(action: CommitAction): void {
    switch (action.type) {
      case 'commit':
        this.#commit(action.id);
        break;
      case 'discard':
        this.#discard();
        break;
      case 'undo':
        void this.#undo(action.reason);
        break;
      default:
        break;
    }
  }

  #commit(id: string): void {
    try {
      this.#store.commit();
    } catch (error) {
      this.#step({ type: 'uncommitted', id, reason: `it cannot be written to the disk: ${error}` });
      return;
    }
    const document = this.document;
    this.#ports.publish({
      kind: 'replicate.applied',
      from: document?.node ?? null,
      hash: this.hash(),
      unknown: document === null ? [] : unknownKeys(document),
    });
  }

  #discard(): void {
    try {
      this.#store.discard();
    } catch (error) {
      this.#ports.warn(`what was not applied stays in the state directory: ${error}`);
    }
  }

  async #undo(reason: string): Promise<void> {
    const before = this.#before;
    const failed = before === null ? 'nothing to go back to' : await this.#ports.change(before);
    this.#discard();
    this.#step({ type: 'undone' });
    this.#ports.publish({ kind: 'replicate.rolled_back', reason });
    if (failed !== null) this.#ports.warn(`going back to the configuration before the push failed: ${failed}`);
  }
}

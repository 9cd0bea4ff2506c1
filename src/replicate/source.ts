/** The node whose shared configuration is the pair's: plans, pushes, proves, and looks every few seconds whether it still holds. */
import { randomBytes } from 'node:crypto';
import type { Prepared } from '../daemon/prepare.ts';
import { CallError } from '../peer/calls.ts';
import type { PeerChannel } from '../peer/channel.ts';
import type { Json } from '../status.ts';
import { type Change, describeChanges, diffEntries, diffLines } from './diff.ts';
import {
  type Entries,
  entriesHash,
  MAX_SHARED_RULES,
  makeDocument,
  maskEntries,
  schemaKey,
  sharedEntries,
} from './document.ts';
import {
  type ApplyAnswer,
  applyAnswer,
  REPLICATE_CALLS as CALLS,
  checkedBody,
  type PlanAnswer,
  planAnswer,
  rulesAnswer,
  type StateAnswer,
  type StateCall,
  stateAnswer,
} from './messages.ts';
import type { ReplicatePorts } from './ports.ts';
import { type KernelTruth, rulesHash } from './truth.ts';

/** Milliseconds. */
const TIMING = {
  state: 2000,
  call: 5000,
  /** A check of a long rules file on a small box. */
  plan: 20_000,
  apply: 30_000,
  confirmEvery: 250,
  /** An automatic push that was refused is tried again after this, sooner only when something has changed. */
  again: 60_000,
  /** The same when it broke off: the channel was lost, or a failover came in between. */
  soon: 5000,
} as const;

export interface Plan {
  peer: string;
  /** Both hold the same. */
  same: boolean;
  /** Of this node's files, which say something else than what it has loaded: a reload comes before a push. */
  files: boolean;
  /** The differing keys, as lines. */
  lines: string[];
  /** What a push would do, as lines. */
  effects: string[];
  /** Why it would be refused; empty: it would not. */
  errors: string[];
  unknown: string[];
  unshared: string[];
  vhids: string[];
}

export interface PushResult {
  done: boolean;
  /** What happened, or why it could not. */
  reason: string;
  changes: number;
  ms: number;
  /** Nobody said no: it broke off, and may be tried again soon. */
  brokeOff?: boolean;
}

export interface SourceOptions {
  key: Uint8Array;
  node: string;
  version: string;
}

export interface LastPush extends PushResult {
  time: string;
}

/** The replica has said no. */
class Refusal extends Error {}

export class Source {
  readonly #options: SourceOptions;
  readonly #ports: ReplicatePorts;
  readonly #truth: KernelTruth;
  readonly #channel: PeerChannel;
  readonly #timer: NodeJS.Timeout;
  /** Rules may be long, and every look asks for the hash. */
  #hashed: { prepared: Prepared; rules: string | null; hash: string } | null = null;
  #answer: StateAnswer | null = null;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #differs: { hashes: string; lines: string[] } | null = null;
  #reason: string | null = 'the peer has not been asked yet';
  #pushing = false;
  #asking = false;
  #failed = { hashes: '', at: Number.NEGATIVE_INFINITY, wait: 0 };
  #last: LastPush | null = null;
  #closed = false;

  constructor(options: SourceOptions, ports: ReplicatePorts, truth: KernelTruth, channel: PeerChannel) {
    this.#options = options;
    this.#ports = ports;
    this.#truth = truth;
    this.#channel = channel;
    this.#timer = setInterval(() => void this.look(), TIMING.state);
    this.#timer.unref();
    channel.onOpen(() => void this.look());
    channel.onLost((reason) => {
      this.#answer = null;
      this.#reason = `the peer channel is down: ${reason}`;
    });
  }

  get facts(): {
    answer: StateAnswer | null;
    ago: number;
    differs: string[];
    reason: string | null;
    last: LastPush | null;
    pushing: boolean;
  } {
    return {
      answer: this.#answer,
      ago: performance.now() - this.#answeredAt,
      differs: this.#differs?.lines ?? [],
      reason: this.#reason,
      last: this.#last,
      pushing: this.#pushing,
    };
  }

  /** May change with a reload. */
  get #settings(): { auto: boolean; confirmMs: number } {
    const { auto = true, confirm_s = 10 } = this.#ports.current().config.replicate ?? {};
    return { auto, confirmMs: confirm_s * 1000 };
  }

  entries(): Entries {
    const { config, vips } = this.#ports.current();
    return sharedEntries(config, vips, this.#ports.rules().text);
  }

  hash(): string {
    const [prepared, rules] = [this.#ports.current(), this.#ports.rules().text];
    const cached = this.#hashed;
    if (cached?.prepared === prepared && cached.rules === rules) return cached.hash;
    const hash = entriesHash(this.entries(), this.#options.key);
    this.#hashed = { prepared, rules, hash };
    return hash;
  }

  /** Asks the replica what it holds, tells it what is here, and pushes when they differ and that is wanted. */
  async look(): Promise<void> {
    if (this.#asking || this.#pushing || this.#closed || this.#channel.peer === null) return;
    this.#asking = true;
    try {
      const answer = await this.#ask();
      const hashes = `${this.hash()} ${answer.hash}`;
      const same = this.hash() === answer.hash;
      if (same) this.#differs = null;
      else if (this.#differs?.hashes !== hashes) await this.#compare(hashes);
      this.#reason = same ? null : (this.#reason ?? 'the two configurations differ');
      if (!same && this.#settings.auto && this.#mayTry(hashes)) void this.push('automatic');
    } catch (error) {
      this.#answer = null;
      this.#reason = messageOf(error);
    } finally {
      this.#asking = false;
    }
  }

  /**
   * The plan for what this node's files say now, loaded or not: it is asked for before a reload, too.
   * @throws Error with why it cannot be told: the files are not sound, the peer cannot be asked
   */
  planOfFiles(): Promise<Plan> {
    const candidate = this.#ports.candidate(null);
    if (!candidate.ok) throw new Error(`this node's own files would be refused: ${candidate.errors.join('; ')}`);
    const { prepared } = candidate;
    return this.plan(sharedEntries(prepared.config, prepared.vips, this.#ports.rulesOf(prepared)));
  }

  /** What differs, and what a push would do. @throws Error with why it cannot be told */
  async plan(entries = this.entries()): Promise<Plan> {
    this.#checkSize(entries);
    const answer = await this.#call(CALLS.plan, { document: this.#document(entries) }, TIMING.plan, planAnswer);
    const changes = diffEntries(answer.entries, maskEntries(entries, this.#options.key));
    const peer = this.#channel.peer?.node ?? 'the peer';
    const { vhids, effects } = effectsOf(changes, answer, peer);
    const hash = entriesHash(entries, this.#options.key);
    return {
      peer,
      same: changes.length === 0 && answer.errors.length === 0 && answer.hash === hash,
      files: hash !== this.hash(),
      lines: describeChanges(changes),
      effects,
      errors: answer.errors,
      unknown: answer.unknown,
      unshared: answer.unshared,
      vhids,
    };
  }

  /** Applies this node's shared configuration on the replica, proves it, and has it kept. Never throws. */
  async push(why: 'automatic' | 'asked'): Promise<PushResult> {
    const begun = performance.now();
    const result = (done: boolean, reason: string, changes = 0): PushResult => ({
      done,
      reason,
      changes,
      ms: Math.round(performance.now() - begun),
    });
    if (this.#pushing) return result(false, 'a push is under way');
    this.#pushing = true;
    let outcome: PushResult;
    try {
      outcome = await this.#push(result);
    } catch (error) {
      const brokeOff = !(error instanceof Refusal) && !(error instanceof CallError && error.trouble === 'refused');
      outcome = { ...result(false, messageOf(error)), brokeOff };
    } finally {
      this.#pushing = false;
    }
    this.#after(outcome, why);
    return outcome;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  async #push(result: (done: boolean, reason: string, changes?: number) => PushResult): Promise<PushResult> {
    const drift = this.#truth.drift?.lines.find((line) => line.startsWith('rules: '));
    if (drift !== undefined) {
      return result(false, `this node's own kernel does not hold its rules (${drift}); reload carpio first`);
    }
    const plan = await this.plan();
    if (plan.errors.length > 0) return result(false, `${plan.peer} refuses: ${plan.errors.join('; ')}`);
    const drifted = (this.#answer?.drift.length ?? 0) > 0;
    if (plan.same && !drifted) return result(true, `${plan.peer} holds the same already`);
    const entries = this.entries();
    const id = randomBytes(8).toString('hex');
    const wanted = {
      hash: this.hash(),
      rules: rulesHash(await this.#truth.rules()),
      nft: await this.#truth.nftVersion(),
    };
    const by = performance.now() + this.#settings.confirmMs;
    let answer: ApplyAnswer;
    try {
      const body = { id, document: this.#document(entries), confirm_ms: this.#settings.confirmMs };
      answer = await this.#call(CALLS.apply, body, TIMING.apply, applyAnswer);
    } catch (error) {
      await this.#abort(id, `applying it failed: ${messageOf(error)}`);
      const said = this.#sayFailed(error, plan.peer);
      throw error instanceof CallError && error.trouble === 'refused' ? new Refusal(said) : new Error(said);
    }
    const wrong = await this.#compareAnswer(answer, wanted);
    if (wrong !== null) {
      await this.#abort(id, wrong);
      const brokeOff = answer.roles_changed.length > 0;
      return { ...result(false, `${wrong}; ${plan.peer} has gone back to what it had`), brokeOff };
    }
    await this.#confirm(id, by, plan.peer);
    const unknown = answer.unknown.length === 0 ? '' : `; ${plan.peer} does not know ${answer.unknown.join(', ')}`;
    const changes = plan.lines.filter((line) => !line.startsWith('  ')).length;
    return result(true, `${plan.peer} holds the same, read back from its kernel${unknown}`, changes);
  }

  /** What the replica read back against what this node holds; null: the same. */
  async #compareAnswer(
    answer: ApplyAnswer,
    wanted: { hash: string; rules: string; nft: string },
  ): Promise<string | null> {
    if (answer.hash !== wanted.hash) return 'its configuration is not the same after applying it';
    if (answer.addresses.length > 0) return `its kernel holds other addresses: ${answer.addresses.join(', ')}`;
    if (answer.roles_changed.length > 0) return `a role has changed: ${answer.roles_changed.join(', ')}`;
    // Two versions of nft may write one and the same rule differently: then their texts prove nothing.
    if (answer.rules === wanted.rules || answer.nft !== wanted.nft) return null;
    const lines = await this.#rulesDifference();
    return `its kernel holds other rules: ${lines.join(' | ')}`;
  }

  async #rulesDifference(): Promise<string[]> {
    try {
      const theirs = await this.#call(CALLS.rules, {}, TIMING.call, rulesAnswer);
      return diffLines(await this.#truth.rules(), theirs.lines, 6);
    } catch (error) {
      return [`(the lines cannot be had: ${messageOf(error)})`];
    }
  }

  /** Until the replica's patience ends: the channel may break just now, and come back in time. */
  async #confirm(id: string, by: number, peer: string): Promise<void> {
    for (;;) {
      try {
        await this.#channel.call(CALLS.confirm, { id }, Math.max(200, Math.min(2000, by - performance.now())));
        return;
      } catch (error) {
        const final = error instanceof CallError && error.trouble === 'refused';
        if (final) throw new Error(`${peer} has gone back to what it had: ${messageOf(error)}`);
        if (performance.now() >= by) {
          throw new Error(`${peer} could not be told to keep it (${messageOf(error)}), so it goes back to what it had`);
        }
        await new Promise((resolve) => setTimeout(resolve, TIMING.confirmEvery));
      }
    }
  }

  async #abort(id: string, reason: string): Promise<void> {
    try {
      await this.#channel.call(CALLS.abort, { id, reason: reason.slice(0, 500) }, TIMING.call);
    } catch {
      // It goes back by itself when no confirmation comes.
    }
  }

  #sayFailed(error: unknown, peer: string): string {
    const unsure = error instanceof CallError && (error.trouble === 'lost' || error.trouble === 'timeout');
    return unsure
      ? `${messageOf(error)}; without a confirmation ${peer} goes back to what it had within ${this.#settings.confirmMs / 1000} s`
      : `${peer} refuses: ${messageOf(error)}`;
  }

  #after(outcome: PushResult, why: 'automatic' | 'asked'): void {
    const { done, reason, changes, ms } = outcome;
    this.#last = { ...outcome, time: new Date().toISOString() };
    if (!done) {
      const wait = outcome.brokeOff === true ? TIMING.soon : TIMING.again;
      this.#failed = { hashes: `${this.hash()} ${this.#answer?.hash}`, at: performance.now(), wait };
      this.#reason = reason;
      this.#ports.publish({ kind: 'replicate.refused', why, reason });
    } else {
      this.#reason = null;
      if (changes > 0 || why === 'asked') this.#ports.publish({ kind: 'replicate.pushed', why, changes, ms, reason });
    }
    void this.look();
  }

  #mayTry(hashes: string): boolean {
    return this.#failed.hashes !== hashes || performance.now() - this.#failed.at >= this.#failed.wait;
  }

  async #ask(): Promise<StateAnswer> {
    const call: StateCall = {
      format: 1,
      hash: this.hash(),
      drift: this.#truth.drift?.lines ?? [],
      differs: this.#differs?.lines.slice(0, 100).map((line) => line.slice(0, 500)) ?? null,
      reason: this.#last?.done === false ? this.#last.reason.slice(0, 500) : null,
    };
    const answer = await this.#call(CALLS.state, call, TIMING.call, stateAnswer);
    this.#answer = answer;
    this.#answeredAt = performance.now();
    return answer;
  }

  async #compare(hashes: string): Promise<void> {
    const plan = await this.plan();
    this.#differs = { hashes, lines: [...plan.lines, ...plan.errors.map((error) => `refused: ${error}`)] };
    this.#reason = plan.errors[0] ?? 'the two configurations differ';
  }

  #document(entries: Entries): Json {
    return makeDocument(this.#options.node, this.#options.version, entries) as unknown as Json;
  }

  #checkSize(entries: Entries): void {
    const rules = entries['firewall.rules'];
    const size = typeof rules === 'string' ? Buffer.byteLength(rules) : 0;
    if (size <= MAX_SHARED_RULES) return;
    throw new Error(`the rules have ${size} bytes; at most ${MAX_SHARED_RULES} can be replicated`);
  }

  async #call<T>(name: string, body: unknown, ms: number, schema: Parameters<typeof checkedBody<T>>[0]): Promise<T> {
    return checkedBody(schema, await this.#channel.call(name, body as Json, ms), `answer to ${name}`);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a push with these changes would do on the replica, in words. */
function effectsOf(
  changes: readonly Change[],
  { roles, notes, unknown, unshared }: PlanAnswer,
  peer: string,
): { vhids: string[]; effects: string[] } {
  const vhids = [...new Set(changes.flatMap(({ key }) => /^vip\[(.*)\]\./.exec(key)?.[1] ?? []))].sort();
  const effects = vhids.map((vip) => {
    const own = changes.filter(({ key }) => key.startsWith(`vip[${vip}].`));
    const role = roles[vip];
    if (own.every(({ kind }) => kind === 'added')) return `vhid ${vip}: new on ${peer}, as backup`;
    if (own.every(({ kind }) => kind === 'removed')) {
      return `vhid ${vip}: leaves ${peer}${role === 'MASTER' ? ', which is MASTER of it: its addresses go' : ''}`;
    }
    const keys = own.map(({ key }) => schemaKey(key).slice('vip.'.length)).join(', ');
    return `vhid ${vip}: ${keys} changed, ${peer} stays ${role ?? 'what it is'}`;
  });
  if (changes.some(({ key }) => key === 'firewall.rules'))
    effects.push('rules: loaded in one transaction, checked there');
  if (changes.some(({ key }) => key === 'carp.preempt'))
    effects.push('carp.preempt: may move the role at the next failure');
  effects.push(...notes);
  effects.push(...unknown.map((key) => `${key}: ${peer} does not know it; it keeps it and does nothing with it`));
  effects.push(...unshared.map((key) => `${key}: not shared by this node's version, ${peer} keeps its own`));
  return { vhids, effects };
}

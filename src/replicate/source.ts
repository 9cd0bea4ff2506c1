/**
 * The node whose shared configuration is the pair's: plans, pushes, and looks every few seconds whether it still holds.
 */

import { CallError } from '../channel/calls.ts';
import type { PeerChannel } from '../channel/channel.ts';
import { messageOf } from '../contract/message-of.ts';
import type { Json } from '../contract/values.ts';
import { type Entries, entriesHash, MAX_SHARED_RULES, makeDocument, sharedEntries } from './document.ts';
import {
  REPLICATE_CALLS as CALLS,
  callChecked,
  planAnswer,
  type StateAnswer,
  type StateCall,
  stateAnswer,
} from './messages.ts';
import { makePlan, type Plan } from './plan.ts';
import type { ReplicatePorts } from './ports.ts';
import type { Prepared } from './prepared.ts';
import { applyOn, Refusal } from './push.ts';
import type { KernelTruth } from './truth.ts';

/** Milliseconds. */
const TIMING = {
  state: 2000,
  call: 5000,
  /** A check of a long rules file on a small box. */
  plan: 20_000,
  /** An automatic push that was refused is tried again after this, sooner only when something has changed. */
  again: 60_000,
  /** The same when it broke off: the channel was lost, or a failover came in between. */
  soon: 5000,
} as const;

export interface PushResult {
  done: boolean;
  /** What happened, or why it could not. */
  reason: string;
  changes: number;
  ms: number;
  /** Nobody said no: it broke off, and may be tried again soon. */
  brokeOff?: boolean;
}

interface SourceOptions {
  /** Of what is hashed; the same object as long as it is the same key. */
  key: () => Uint8Array;
  node: string;
  version: string;
}

interface LastPush extends PushResult {
  time: string;
}

export class Source {
  readonly #options: SourceOptions;
  readonly #ports: ReplicatePorts;
  readonly #truth: KernelTruth;
  readonly #channel: PeerChannel;
  readonly #timer: NodeJS.Timeout;
  /** Rules may be long, and every look asks for the hash. */
  #hashed: { prepared: Prepared; rules: string | null; key: Uint8Array; hash: string } | null = null;
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
    const key = this.#options.key();
    if (cached?.prepared === prepared && cached.rules === rules && cached.key === key) return cached.hash;
    const hash = entriesHash(this.entries(), key);
    this.#hashed = { prepared, rules, key, hash };
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
    const answer = await callChecked(
      this.#channel,
      CALLS.plan,
      { document: this.#document(entries) },
      TIMING.plan,
      planAnswer,
    );
    return makePlan(this.#channel.peer?.node ?? 'the peer', entries, this.hash(), answer, this.#options.key());
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
    const confirmMs = this.#settings.confirmMs;
    const document = this.#document(this.entries());
    const applied = await applyOn(plan.peer, { document, hash: this.hash(), confirmMs }, this.#channel, this.#truth);
    if (!applied.kept) return { ...result(false, applied.reason), brokeOff: applied.brokeOff };
    const changes = plan.lines.filter((line) => !line.startsWith('  ')).length;
    return result(true, applied.reason, changes);
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
    const answer = await callChecked(this.#channel, CALLS.state, call, TIMING.call, stateAnswer);
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
}

/**
 * The control thread's side of the dataplane worker: starts it, gives it commands, reads its counters. Never waits for
 * it, and notices when it does not turn any more.
 */
import { Worker } from 'node:worker_threads';
import type { StateView } from '../../contract/state-view.ts';
import type { SyncNotice } from '../../contract/sync-notice.ts';
import { libc } from '../../kernel/libc.ts';
import type { FromWorker, ToWorker, VerifyResult, WorkerConfig } from '../worker/messages.ts';
import { STAT, STAT_COUNT, workerClock } from '../worker/messages.ts';
import { SLICE_BOUNDS, SLICE_PLACES } from '../worker/slices.ts';

/** The worker's program: a file in development, text in the single executable. */
export type WorkerEntry = { file: string } | { code: string };

interface DataplaneListener {
  notice(notice: SyncNotice): void;
  /** A session with this peer has begun. */
  peerName(name: string): void;
  /** The peer's own report, as it came. */
  peerReport(report: string): void;
  step(inStep: boolean | null, reason: string | null): void;
  /** Lines of a recording. */
  recorded?(lines: readonly string[]): void;
  /** The worker ended by itself; the node cannot sync any more. */
  failed(reason: string): void;
}

const STATES_PER_PAGE = 500;
/**
 * Room for young objects of the worker's heap, MiB. V8 would spread them over 48 before it collects: each pass would
 * then touch cold memory, which costs a sixth of its time.
 */
const YOUNG = 4;
/** Longer than the worker's patience with a deep check (worker/verifier.ts). */
const ANSWER_TIMEOUT_MS = 35_000;

export class DataplaneHandle {
  inStep: boolean | null = null;
  inStepReason: string | null = 'the dataplane is starting';
  refused: Record<string, number> = {};
  private readonly worker: Worker;
  private readonly stats: Float64Array;
  private readonly listener: DataplaneListener;
  private readonly waiting = new Map<number, (message: FromWorker) => void>();
  private wakeFd = -1;
  private nextId = 1;
  private stopping = false;
  private exited = false;
  /** Its loop has ended: nobody reads the eventfd any more. */
  private stopped = false;
  private carrier = true;
  private readonly started: Promise<void>;

  constructor(entry: WorkerEntry, wasm: Uint8Array, config: WorkerConfig, listener: DataplaneListener) {
    this.listener = listener;
    const counters = new SharedArrayBuffer(STAT_COUNT * 8);
    this.stats = new Float64Array(counters);
    // The time since the last pass counts from here until the first pass, and not from the start of the machine.
    this.stats[STAT.passAt] = this.now();
    const [program, isCode] = 'file' in entry ? [entry.file, false] : [entry.code, true];
    this.worker = new Worker(program, {
      eval: isCode,
      workerData: { wasm, config, counters },
      name: 'dataplane',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG },
    });
    this.started = new Promise((resolve, reject) => {
      this.worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') resolve();
        if (message.type === 'fatal') {
          // The worker ends now. Whoever awaits `ready` gets the reason.
          this.stopping = true;
          reject(new Error(message.reason));
        }
        this.onMessage(message);
      });
      this.worker.on('error', (error: Error) => {
        reject(error);
        if (!this.stopping) listener.failed(error.message);
      });
      this.worker.on('exit', () => {
        this.exited = true;
        reject(new Error('the dataplane worker ended'));
        if (!this.stopping) listener.failed('the dataplane worker ended');
      });
    });
    // Whoever does not wait for the start gets `failed`.
    this.started.catch(() => {});
  }

  /** @throws Error with one line that says what the kernel or the machine lacks */
  ready(): Promise<void> {
    return this.started;
  }

  setRole(masterAny: boolean, report: string): void {
    this.send({ type: 'role', masterAny, report });
  }

  /** The control thread turns. Without this call the worker soon stops sending its report. */
  alive(): void {
    this.stats[STAT.controlAt] = this.now();
  }

  setLocal(addresses: string[]): void {
    this.send({ type: 'local', addresses });
  }

  /** Of the sync link's device: without carrier the worker sends nothing. @returns whether it has changed */
  setCarrier(up: boolean): boolean {
    if (up === this.carrier) return false;
    this.carrier = up;
    this.send({ type: 'carrier', up });
    return true;
  }

  /** The sync link's device was made anew: state sync goes on through this one. */
  setDevice(ifindex: number): void {
    this.send({ type: 'device', ifindex });
  }

  /** The pair's key has been changed. @param secrets the one to use first, then those that are accepted too */
  setKeys(secrets: readonly Uint8Array[]): void {
    this.send({ type: 'keys', secrets: [...secrets] });
  }

  /** A recording needs the whole state of the session. */
  snapshot(): void {
    this.send({ type: 'snapshot' });
  }

  resync(): void {
    this.send({ type: 'resync' });
  }

  async verify(deep: boolean): Promise<VerifyResult> {
    const answer = await this.ask((id) => ({ type: 'verify', id, deep }));
    if (answer.type !== 'verified') throw new Error('the dataplane gave another answer than was asked for');
    return answer.result;
  }

  /** The whole table, page by page; memory on this side stays bounded by one page. */
  async *states(): AsyncGenerator<StateView[]> {
    for (let cursor = 0; ; ) {
      const at = cursor;
      const answer = await this.ask((id) => ({ type: 'states', id, cursor: at, most: STATES_PER_PAGE }));
      if (answer.type !== 'states') return;
      if (answer.states.length > 0) yield answer.states;
      if (answer.cursor === 0) return;
      cursor = answer.cursor;
    }
  }

  /** One of the shared counters; NaN where the worker has no value. */
  stat(name: keyof typeof STAT): number {
    return this.stats[STAT[name]] ?? Number.NaN;
  }

  /** How long slices of background work have taken. */
  slices(): { bounds_ms: readonly number[]; counts: number[]; sum_ms: number } {
    const places = [...this.stats.subarray(STAT.slices, STAT.slices + SLICE_PLACES)];
    return { bounds_ms: SLICE_BOUNDS, counts: places.slice(0, -1), sum_ms: places.at(-1) ?? 0 };
  }

  /** The worker's clock; the times among the counters are in it. */
  now(): number {
    return workerClock();
  }

  /** The first 12 bytes of this node's digest, as hex. */
  digest(): string {
    const part = (value: number): string => value.toString(16).padStart(12, '0');
    return part(this.stat('digestHigh')) + part(this.stat('digestLow'));
  }

  async stop(): Promise<void> {
    this.stopping = true;
    if (this.exited) return;
    const gone = new Promise<void>((resolve) => this.worker.once('exit', () => resolve()));
    this.send({ type: 'stop' });
    const limit = setTimeout(() => void this.worker.terminate(), 2000);
    await gone;
    clearTimeout(limit);
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
    this.wake();
  }

  // The worker sleeps in poll(2), where a message port cannot wake it; an eventfd can.
  private wake(): void {
    if (this.wakeFd < 0 || this.stopped) return;
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    libc().write(this.wakeFd, one, one.length);
  }

  private ask(make: (id: number) => ToWorker): Promise<FromWorker> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error('the dataplane did not answer in time'));
      }, ANSWER_TIMEOUT_MS);
      this.waiting.set(id, (message) => {
        clearTimeout(limit);
        resolve(message);
      });
      this.send(make(id));
    });
  }

  private onMessage(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        this.wakeFd = message.wakeFd;
        this.wake();
        break;
      case 'notice':
        this.listener.notice(message.notice);
        break;
      case 'peerName':
        this.listener.peerName(message.name);
        break;
      case 'peerReport':
        this.listener.peerReport(message.report);
        break;
      case 'step':
        this.inStep = message.inStep;
        this.inStepReason = message.reason;
        this.listener.step(message.inStep, message.reason);
        break;
      case 'refused':
        this.refused = message.counters;
        break;
      case 'verified':
      case 'states':
        this.waiting.get(message.id)?.(message);
        this.waiting.delete(message.id);
        break;
      case 'recording':
        this.listener.recorded?.(message.lines);
        this.stats[STAT.recorded] = this.stat('recorded') + message.bytes;
        break;
      case 'stopped':
        this.stopped = true;
        break;
      case 'fatal':
        break;
    }
  }
}

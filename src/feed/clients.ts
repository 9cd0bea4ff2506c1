/**
 * The readers of the feed. The node publishes and never waits: what a reader does not take is counted against it, first
 * its samples are left out, then it is closed.
 */
import type { WebSocket } from 'ws';
import { LIMITS } from './limits.ts';
import type { EventLog } from './log.ts';
import type { FeedCounters } from './metrics.ts';

/** Close codes of RFC 6455 and the IANA registry. */
const GOING_AWAY = 1001;
const POLICY = 1008;
const INTERNAL = 1011;
const TRY_AGAIN = 1013;

export interface Source {
  log: EventLog;
  /** The status as JSON text, made now. May throw. */
  statusText(): string;
  /** The sample frame, made now. May throw. */
  sampleFrame(): string;
}

export interface Wish {
  /** The last number the reader has seen. */
  since: number | null;
  /** How many past events the snapshot shall bring along. */
  recent: number;
  /** Status frames after events and once a second. */
  status: boolean;
}

interface Reader {
  readonly ws: WebSocket;
  readonly wantsStatus: boolean;
  controlFrames: number;
  awaitsPong: boolean;
}

export class Clients {
  readonly #source: Source;
  readonly #counters: FeedCounters;
  /** Readers that are sent to; `#counters.clients` also counts those that are still closing. */
  readonly #readers = new Set<Reader>();
  readonly #timers: NodeJS.Timeout[];
  #statusTimer: NodeJS.Timeout | null = null;

  constructor(source: Source, counters: FeedCounters, { sampleMs, pingMs }: { sampleMs: number; pingMs: number }) {
    this.#source = source;
    this.#counters = counters;
    this.#timers = [setInterval(() => this.#tick(), sampleMs), setInterval(() => this.#ping(), pingMs)];
    for (const timer of this.#timers) timer.unref();
  }

  /**
   * Takes a reader and sends it the snapshot or what it has missed, in one go with what follows: no gap between them.
   */
  add(ws: WebSocket, wish: Wish): void {
    const reader: Reader = { ws, wantsStatus: wish.status, controlFrames: 0, awaitsPong: false };
    this.#counters.clients++;
    this.#counters.accepted++;
    ws.on('error', (error: NodeJS.ErrnoException) => {
      // ws has begun to close by itself. What it calls an error of its own is a client that broke the protocol.
      if (error.code?.startsWith('WS_ERR')) this.#talks(reader);
    });
    ws.on('close', () => {
      this.#readers.delete(reader);
      this.#counters.clients--;
    });
    ws.on('message', () => this.#talks(reader));
    ws.on('ping', (data) => this.#pinged(reader, data));
    ws.on('pong', () => {
      reader.awaitsPong = false;
      this.#controlFrame(reader);
    });
    this.#readers.add(reader);
    this.#greet(reader, wish);
  }

  /** Sends the event to all readers. */
  event(frame: Buffer): void {
    for (const reader of [...this.#readers]) {
      if (reader.ws.bufferedAmount > LIMITS.eventBacklog) this.#tooSlow(reader);
      else this.#send(reader, frame);
    }
    this.#statusTimer ??= setTimeout(() => {
      this.#statusTimer = null;
      this.#sendStatus();
    }, LIMITS.statusMs).unref();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#statusTimer !== null) clearTimeout(this.#statusTimer);
    for (const reader of [...this.#readers]) this.#drop(reader, GOING_AWAY, 'the node stops');
  }

  #greet(reader: Reader, wish: Wish): void {
    try {
      const missed = wish.since === null ? null : this.#source.log.since(wish.since);
      if (missed !== null && missed.reduce((sum, { frame }) => sum + frame.length, 0) <= LIMITS.replayBytes) {
        for (const { frame } of missed) this.#send(reader, frame);
        if (reader.wantsStatus) this.#send(reader, this.#statusFrame());
        return;
      }
      const { log } = this.#source;
      const recent = wish.recent === 0 ? '' : `,"recent":[${log.latest(wish.recent).map(({ frame }) => frame)}]`;
      this.#send(reader, `{"type":"snapshot","seq":${log.seq},"status":${this.#source.statusText()}${recent}}`);
    } catch {
      this.#drop(reader, INTERNAL, 'the status could not be made');
    }
  }

  #tick(): void {
    for (const reader of this.#readers) reader.controlFrames = 0;
    if (this.#readers.size === 0) return;
    try {
      const frame = Buffer.from(this.#source.sampleFrame());
      for (const reader of this.#readers) this.#offer(reader, frame);
    } catch {
      this.#counters.samples_dropped += this.#readers.size;
    }
    this.#sendStatus();
  }

  #sendStatus(): void {
    const wanting = [...this.#readers].filter((reader) => reader.wantsStatus);
    if (wanting.length === 0) return;
    try {
      const frame = Buffer.from(this.#statusFrame());
      for (const reader of wanting) this.#offer(reader, frame);
    } catch {
      this.#counters.samples_dropped += wanting.length;
    }
  }

  #statusFrame(): string {
    return `{"type":"status","seq":${this.#source.log.seq},"status":${this.#source.statusText()}}`;
  }

  /** Sends what a reader can do without. */
  #offer(reader: Reader, frame: Buffer): void {
    if (reader.ws.bufferedAmount > LIMITS.sampleBacklog) this.#counters.samples_dropped++;
    else this.#send(reader, frame);
  }

  #send(reader: Reader, frame: Buffer | string): void {
    reader.ws.send(frame, { binary: false }, () => {}); // an error here is followed by 'close'
  }

  /** A half-open connection takes everything and never complains: only an answer shows that somebody is there. */
  #ping(): void {
    for (const reader of [...this.#readers]) {
      if (reader.awaitsPong) {
        this.#tooSlow(reader);
        continue;
      }
      reader.awaitsPong = true;
      reader.ws.ping(undefined, undefined, () => {});
    }
  }

  #pinged(reader: Reader, data: Buffer): void {
    if (!this.#controlFrame(reader)) return;
    if (reader.ws.bufferedAmount <= LIMITS.sampleBacklog) reader.ws.pong(data, undefined, () => {});
  }

  #controlFrame(reader: Reader): boolean {
    if (!this.#readers.has(reader)) return false;
    if (++reader.controlFrames <= LIMITS.controlFrames) return true;
    this.#talks(reader);
    return false;
  }

  #talks(reader: Reader): void {
    if (!this.#readers.has(reader)) return;
    this.#counters.closed_talking++;
    this.#drop(reader, POLICY, 'this feed only speaks');
  }

  #tooSlow(reader: Reader): void {
    this.#counters.closed_slow++;
    this.#drop(reader, TRY_AGAIN, 'read too slowly');
  }

  #drop(reader: Reader, code: number, reason: string): void {
    this.#readers.delete(reader);
    reader.ws.close(code, reason);
    const timer = setTimeout(() => reader.ws.terminate(), LIMITS.closeMs).unref();
    reader.ws.once('close', () => clearTimeout(timer));
  }
}

/**
 * The event log: the last events, numbered without a gap, ready to be sent. Each event is turned into its frame once,
 * whatever the number of readers. No clock and no I/O in here.
 */
import type { ToldEvent } from '../contract/events.ts';
import { LIMITS } from './limits.ts';

interface LoggedEvent {
  readonly seq: number;
  /** The frame as it goes over the wire (JSON, UTF-8). */
  readonly frame: Buffer;
}

interface LogOptions {
  /** Number of the first event. */
  firstSeq?: number;
  maxEvents?: number;
  maxBytes?: number;
  maxFrame?: number;
}

export class EventLog {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  readonly #maxFrame: number;
  readonly #ring: (LoggedEvent | undefined)[] = [];
  #first: number;
  #next: number;
  #bytes = 0;

  constructor(options: LogOptions = {}) {
    this.#maxEvents = options.maxEvents ?? LIMITS.events;
    this.#maxBytes = options.maxBytes ?? LIMITS.eventBytes;
    this.#maxFrame = options.maxFrame ?? LIMITS.eventFrame;
    this.#first = options.firstSeq ?? 1;
    this.#next = this.#first;
  }

  /** Number of the newest event; the first number less one while there is none. */
  get seq(): number {
    return this.#next - 1;
  }

  /** How many events, and bytes of frames, are kept now. */
  get size(): { events: number; bytes: number } {
    return { events: this.#next - this.#first, bytes: this.#bytes };
  }

  /**
   * Adds an event under the next number. Never throws: an event that is too large or can't be written as JSON is kept
   * as a note with its number and kind, because a missing number would look like a loss to every reader.
   * @param time ISO time
   */
  append(event: ToldEvent, time: string): LoggedEvent {
    const seq = this.#next++;
    const logged = { seq, frame: this.#frame(event, seq, time) };
    if (seq - this.#first >= this.#maxEvents) this.#forgetOldest();
    this.#ring[seq % this.#maxEvents] = logged;
    this.#bytes += logged.frame.length;
    while (this.#bytes > this.#maxBytes && this.#first < seq) this.#forgetOldest();
    return logged;
  }

  /** The events after `seq`, oldest first; `null` when some of them are gone or `seq` was never given out here. */
  since(seq: number): LoggedEvent[] | null {
    if (!Number.isSafeInteger(seq) || seq < this.#first - 1 || seq >= this.#next) return null;
    const events: LoggedEvent[] = [];
    for (let n = seq + 1; n < this.#next; n++) events.push(this.#ring[n % this.#maxEvents]!);
    return events;
  }

  /** The newest `count` events, oldest first. */
  latest(count: number): LoggedEvent[] {
    return this.since(Math.max(this.#first - 1, this.seq - count)) ?? [];
  }

  #forgetOldest(): void {
    const slot = this.#first++ % this.#maxEvents;
    this.#bytes -= this.#ring[slot]!.frame.length;
    this.#ring[slot] = undefined;
  }

  #frame(event: ToldEvent, seq: number, time: string): Buffer {
    const head = { type: 'event', seq, time };
    try {
      // The head twice: first for its place, last so that no field of the event can pose as one of the feed's own.
      const frame = Buffer.from(JSON.stringify(Object.assign({ ...head }, event, head)));
      if (frame.length <= this.#maxFrame) return frame;
      return Buffer.from(JSON.stringify({ ...head, kind: String(event.kind).slice(0, 64), oversize: frame.length }));
    } catch {
      return Buffer.from(JSON.stringify({ ...head, kind: 'feed.unwritable' }));
    }
  }
}

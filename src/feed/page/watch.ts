/// <reference lib="dom" />
/** One feed: connects, comes back after a break where it left off, and notices silence. */
import type { NodeStatus } from '../../contract/status.ts';
import type { FeedEvent } from './words.ts';

export interface Sample {
  seq: number;
  time: string;
  [counter: string]: number | string;
}

interface WatchTo {
  link(state: 'connecting' | 'live' | 'lost'): void;
  status(status: NodeStatus): void;
  /** `fresh`: they come with a snapshot and may be known already. */
  events(events: FeedEvent[], fresh: boolean): void;
  sample(sample: Sample): void;
}

type Frame =
  | { type: 'snapshot'; seq: number; status: NodeStatus; recent?: FeedEvent[] }
  | { type: 'status'; seq: number; status: NodeStatus }
  | ({ type: 'event' } & FeedEvent)
  | ({ type: 'sample' } & Sample);

/** The feed says something every second; this long without a word means that the way is broken. */
const SILENCE_MS = 3500;
const BACKOFF_MS = [300, 600, 1200, 2500] as const;
const RECENT = 200;

export class Watch {
  readonly #url: URL;
  readonly #to: WatchTo;
  #lastSeq: number | null = null;
  #attempt = 0;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #socket: WebSocket | null = null;

  /** @param url of the feed, with the token if there is one */
  constructor(url: URL, to: WatchTo) {
    this.#url = url;
    this.#to = to;
  }

  /** Connects, and tries again for ever. */
  start(): void {
    this.#to.link('connecting');
    this.#connect();
  }

  #connect(): void {
    const target = new URL(this.#url);
    target.searchParams.set('status', '1');
    target.searchParams.set('recent', String(RECENT));
    if (this.#lastSeq !== null) target.searchParams.set('since', String(this.#lastSeq));
    const socket = new WebSocket(target);
    this.#socket = socket;
    this.#expectNews();
    socket.onmessage = ({ data }) => {
      if (this.#socket !== socket) return;
      this.#expectNews();
      this.#take(JSON.parse(String(data)) as Frame);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#retry();
    };
  }

  #expectNews(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#retry(), SILENCE_MS);
  }

  #retry(): void {
    clearTimeout(this.#silence);
    const old = this.#socket;
    this.#socket = null; // first: whatever the old one still says is not heard
    old?.close();
    this.#to.link('lost');
    const wait = BACKOFF_MS[Math.min(this.#attempt++, BACKOFF_MS.length - 1)]!;
    setTimeout(() => this.#connect(), wait * (0.8 + 0.4 * Math.random())); // many pages must not come back at once
  }

  #take(frame: Frame): void {
    this.#attempt = 0;
    if (frame.type === 'sample') this.#to.sample(frame);
    else if (frame.type === 'event') this.#takeEvent(frame);
    else if (frame.type === 'snapshot' || frame.type === 'status') {
      this.#to.link('live');
      this.#to.status(frame.status);
      if (frame.type === 'status') return;
      this.#lastSeq = frame.seq;
      this.#to.events(frame.recent ?? [], true);
    }
  }

  #takeEvent(event: FeedEvent): void {
    if (this.#lastSeq !== null && event.seq !== this.#lastSeq + 1) {
      this.#lastSeq = null; // a gap must not be: start afresh
      this.#retry();
      return;
    }
    this.#lastSeq = event.seq;
    this.#to.events([event], false);
  }
}

/// <reference lib="dom" />
/** One feed: connects, comes back after a break where it left off, and notices silence. */
import type { NodeStatus } from '../../status.ts';
import type { FeedEvent } from './words.ts';

export interface Sample {
  seq: number;
  time: string;
  [counter: string]: number | string;
}

export interface WatchTo {
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

/** @param url of the feed, with the token if there is one. Tries for ever. */
export function watch(url: URL, to: WatchTo): void {
  let lastSeq: number | null = null;
  let attempt = 0;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let socket: WebSocket | null = null;

  const connect = (): void => {
    const target = new URL(url);
    target.searchParams.set('status', '1');
    target.searchParams.set('recent', String(RECENT));
    if (lastSeq !== null) target.searchParams.set('since', String(lastSeq));
    const opened = new WebSocket(target);
    socket = opened;
    listen();
    opened.onmessage = ({ data }) => {
      if (socket !== opened) return;
      listen();
      take(JSON.parse(String(data)) as Frame);
    };
    opened.onclose = () => {
      if (socket === opened) retry();
    };
  };

  const listen = (): void => {
    clearTimeout(silence);
    silence = setTimeout(retry, SILENCE_MS);
  };

  const retry = (): void => {
    clearTimeout(silence);
    const old = socket;
    socket = null; // first: whatever the old one still says is not heard
    old?.close();
    to.link('lost');
    const wait = BACKOFF_MS[Math.min(attempt++, BACKOFF_MS.length - 1)]!;
    setTimeout(connect, wait * (0.8 + 0.4 * Math.random())); // many pages must not come back in step
  };

  const take = (frame: Frame): void => {
    attempt = 0;
    if (frame.type === 'event') {
      if (lastSeq !== null && frame.seq !== lastSeq + 1) {
        lastSeq = null; // a gap must not be; start afresh
        retry();
        return;
      }
      lastSeq = frame.seq;
      to.events([frame], false);
    } else if (frame.type === 'snapshot') {
      lastSeq = frame.seq;
      to.link('live');
      to.status(frame.status);
      to.events(frame.recent ?? [], true);
    } else if (frame.type === 'status') {
      to.link('live');
      to.status(frame.status);
    } else if (frame.type === 'sample') {
      to.sample(frame);
    }
  };

  to.link('connecting');
  connect();
}

/** A reader of a node's feed that comes back by itself after a break and never misses an event it could still have. */
import WebSocket from 'ws';

/** Waits before another try, ms; the last one again and again. */
const RETRY_MS = [250, 500, 1000, 2000, 5000];
/** The server sends at least once a second; silence of this many ms is a dead connection (a cable was cut). */
const SILENCE_MS = 6000;
/** A snapshot of a node with a thousand vhids is far below. */
const MAX_FRAME = 8 << 20;

export interface FeedTarget {
  /** ws:// or wss:// with the path /feed; no query. */
  url: string;
  token: string | null;
  /** PEM of an authority to trust besides the system's. */
  ca: string | null;
}

/** A frame as it came: `type` is what decides, the rest is the sender's. */
export type Frame = { type: string } & Record<string, unknown>;

interface FeedListener {
  frame(frame: Frame, text: string): void;
  /** `null`: connected; else why not, in one line. */
  broken(reason: string | null): void;
}

/**
 * What a person writes, as a target: `HOST:PORT`, `http(s)://…`, `ws(s)://…`.
 * @throws Error with one line for anything else
 */
export function feedUrl(text: string): string {
  const expected = 'expected HOST:PORT, or an address that begins with ws://, wss://, http:// or https://';
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `ws://${text}`);
  const scheme = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[url?.protocol ?? ''];
  if (!url || !scheme || url.hostname === '') throw new Error(`found "${text}", ${expected}`);
  if (url.search !== '') throw new Error(`found "${text}": leave out what follows "?"; a token goes into --token-file`);
  return `${scheme}//${url.host}/feed`;
}

export class FeedClient {
  private readonly target: FeedTarget;
  private readonly listener: FeedListener;
  private socket: WebSocket | null = null;
  private timer: NodeJS.Timeout | null = null;
  private silence: NodeJS.Timeout | null = null;
  private failures = 0;
  private seq: number | null = null;
  private closed = false;

  constructor(target: FeedTarget, listener: FeedListener) {
    this.target = target;
    this.listener = listener;
    this.connect();
  }

  close(): void {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.silence !== null) clearTimeout(this.silence);
    this.socket?.terminate();
  }

  private connect(): void {
    this.timer = null;
    const { url, token, ca } = this.target;
    const since = this.seq === null ? 'recent=50' : `since=${this.seq}`;
    const socket = new WebSocket(`${url}?status=1&${since}`, {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
      ...(ca === null ? {} : { ca }),
      handshakeTimeout: SILENCE_MS,
      maxPayload: MAX_FRAME,
    });
    this.socket = socket;
    let reason: string | null = null;
    socket.on('open', () => {
      this.failures = 0;
      this.listener.broken(null);
      this.heard();
    });
    socket.on('message', (data) => this.onText(data.toString()));
    socket.on('ping', () => this.heard());
    socket.on('error', (error) => {
      reason ??= error.message; // ending a refused request reports an error of its own
    });
    socket.on('unexpected-response', (_request, response) => {
      reason = refusalText(response.statusCode ?? 0);
      response.resume();
      socket.terminate();
    });
    socket.on('close', (code) => {
      if (this.socket !== socket || this.closed) return;
      this.socket = null;
      this.again(code === 1001 ? 'the node has stopped' : (reason ?? 'the connection ended'));
    });
  }

  private heard(): void {
    if (this.silence !== null) clearTimeout(this.silence);
    this.silence = setTimeout(() => this.socket?.terminate(), SILENCE_MS);
  }

  private onText(text: string): void {
    this.heard();
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // not a feed's frame; its silence will tell
    }
    if (!isFrame(frame)) return;
    if (typeof frame.seq === 'number' && (frame.type === 'snapshot' || frame.type === 'event')) this.seq = frame.seq;
    this.listener.frame(frame, text);
  }

  private again(reason: string): void {
    this.listener.broken(reason);
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), wait);
  }
}

function isFrame(value: unknown): value is Frame {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function refusalText(status: number): string {
  if (status === 401) return "it wants a token: --token-file FILE with the content of the node's [feed] token_file";
  if (status === 404) return 'there is something else at that address: it has no /feed';
  return `it answers ${status}`;
}

/**
 * Calls over the channel: each has a number, a deadline and one answer. What the peer asks goes to the handler of that
 * name. Knows nothing of sockets.
 */
import type { Json } from '../contract/values.ts';
import { PEER_LIMITS, PEER_TIMING } from './limits.ts';
import { encodeMessage, errorText, type PeerMessage } from './message.ts';

type CallTrouble =
  /** There is no channel now. */
  | 'closed'
  /** It ended while the answer was awaited: whether the peer did it is not known. */
  | 'lost'
  | 'timeout'
  /** The peer says no, and why. */
  | 'refused'
  /** Too much is under way or waits to be sent. */
  | 'busy'
  | 'too_large';

export class CallError extends Error {
  readonly trouble: CallTrouble;

  constructor(trouble: CallTrouble, message: string) {
    super(message);
    this.trouble = trouble;
  }
}

export interface Caller {
  node: string;
  version: string;
  /** Aborted when the deadline that the peer set has passed, or the channel is lost. */
  signal: AbortSignal;
}

/** What it throws becomes the answer's error, its message in one line: never put a secret there. */
export type PeerHandler = (body: Json, caller: Caller) => Promise<Json> | Json;

interface Waiting {
  name: string;
  timer: NodeJS.Timeout;
  resolve(body: Json): void;
  reject(error: CallError): void;
}

interface Session {
  send(text: string): boolean;
  peer: { node: string; version: string };
  ended: AbortController;
}

export class PeerCalls {
  readonly counters = { calls: 0, answered: 0, served: 0, refused_calls: 0, late_answers: 0 };
  readonly #handlers = new Map<string, PeerHandler>();
  readonly #waiting = new Map<number, Waiting>();
  #session: Session | null = null;
  #nextId = 1;
  #serving = 0;

  /** @throws Error when the name is taken */
  handle(name: string, handler: PeerHandler): void {
    if (this.#handlers.has(name)) throw new Error(`two handlers for the peer's call ${name}`);
    this.#handlers.set(name, handler);
  }

  /** @param send false: no room */
  begin(peer: { node: string; version: string }, send: (text: string) => boolean): void {
    this.end('the peer has connected anew');
    this.#session = { peer, send, ended: new AbortController() };
  }

  end(reason: string): void {
    this.#session?.ended.abort();
    this.#session = null;
    for (const [id, waiting] of this.#waiting) this.#settle(id, () => waiting.reject(new CallError('lost', reason)));
  }

  /**
   * @param ms how long to wait, at most PEER_TIMING.call
   * @throws (rejects with) CallError
   */
  call(name: string, body: Json, ms: number): Promise<Json> {
    const session = this.#session;
    if (session === null) return Promise.reject(new CallError('closed', 'the peer channel is down'));
    if (this.#waiting.size >= PEER_LIMITS.calls) {
      return Promise.reject(new CallError('busy', `${PEER_LIMITS.calls} calls to the peer wait for answers already`));
    }
    const limit = Math.max(1, Math.min(Math.round(ms), PEER_TIMING.call));
    const id = this.#nextId++;
    const text = encodeMessage({ t: 'call', id, name, ms: limit, body });
    if (text === null) return Promise.reject(new CallError('too_large', tooLarge(name)));
    return new Promise<Json>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle(id, () => reject(new CallError('timeout', `${session.peer.node} did not answer in ${limit} ms`)));
      }, limit);
      this.#waiting.set(id, { name, timer, resolve, reject });
      this.counters.calls++;
      if (session.send(text)) return;
      this.#settle(id, () => reject(new CallError('busy', 'the peer does not read: too much waits to be sent')));
    });
  }

  /** A call or an answer of the peer. */
  receive(message: Exclude<PeerMessage, { t: 'hello' }>): void {
    if (message.t === 'call') {
      void this.#serve(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) {
      this.counters.late_answers++;
      return;
    }
    this.counters.answered++;
    this.#settle(message.id, () => {
      if (message.ok) waiting.resolve(message.body);
      else waiting.reject(new CallError('refused', message.error));
    });
  }

  #settle(id: number, act: () => void): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    act();
  }

  async #serve({ id, name, ms, body }: Extract<PeerMessage, { t: 'call' }>): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const handler = this.#handlers.get(name);
    const refusal =
      handler === undefined
        ? `this carpio does not know the call ${JSON.stringify(name)}`
        : this.#serving >= PEER_LIMITS.handlers
          ? `${PEER_LIMITS.handlers} calls are being worked on already`
          : null;
    if (handler === undefined || refusal !== null) {
      this.counters.refused_calls++;
      answer(session, { t: 'answer', id, ok: false, error: refusal ?? '' });
      return;
    }
    this.#serving++;
    try {
      const signal = AbortSignal.any([session.ended.signal, AbortSignal.timeout(ms)]);
      const result = await handler(body, { ...session.peer, signal });
      this.counters.served++;
      answer(session, { t: 'answer', id, ok: true, body: result }, name);
    } catch (error) {
      this.counters.refused_calls++;
      answer(session, { t: 'answer', id, ok: false, error: errorText(error) });
    } finally {
      this.#serving--;
    }
  }
}

const tooLarge = (name: string): string =>
  `${name}: longer than ${PEER_LIMITS.message / 1024 / 1024} MiB, which is the most that a message may have`;

function answer(session: Session, message: Extract<PeerMessage, { t: 'answer' }>, name = ''): void {
  if (session.ended.signal.aborted) return;
  const text =
    encodeMessage(message) ??
    encodeMessage({ t: 'answer', id: message.id, ok: false, error: tooLarge(`answer to ${name}`) });
  // No room: the caller's deadline tells it.
  if (text !== null) session.send(text);
}

/**
 * The messages of the peer channel: one JSON object a WebSocket text frame. Pure.
 *
 *   {"v":1,"t":"hello","node":"fw-b","version":"0.1.0","boot":"…"}      first, from both sides, once
 *   {"v":1,"t":"call","id":7,"name":"replicate.plan","ms":5000,"body":…}
 *   {"v":1,"t":"answer","id":7,"ok":true,"body":…} or {…,"ok":false,"error":"one line"}
 *
 * Whoever sends these has proven to hold the pair's key; they are checked all the same, because a peer may be of
 * another version, or broken. Keys that this version does not know are left alone, kinds that it does not know are
 * counted.
 */
import { z } from 'zod';
import type { Json } from '../contract/values.ts';
import { PEER_FORMAT, PEER_LIMITS, PEER_TIMING } from './limits.ts';

const word = z.string().min(1).max(64);
const id = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

const hello = z.object({ v: z.number().int(), t: z.literal('hello'), node: word, version: word, boot: word });
const call = z.object({
  v: z.literal(PEER_FORMAT),
  t: z.literal('call'),
  id,
  name: word,
  ms: z.number().int().min(1).max(PEER_TIMING.call),
});
const answer = z.object({ v: z.literal(PEER_FORMAT), t: z.literal('answer'), id, ok: z.boolean() });

export interface Hello {
  t: 'hello';
  v: number;
  node: string;
  version: string;
  /** Made anew by every start of the daemon. */
  boot: string;
}
export type PeerMessage =
  | Hello
  | { t: 'call'; id: number; name: string; ms: number; body: Json }
  | { t: 'answer'; id: number; ok: true; body: Json }
  | { t: 'answer'; id: number; ok: false; error: string };

export type Decoded = { ok: true; message: PeerMessage } | { ok: false; cause: 'malformed' | 'unknown'; why: string };

const bad = (cause: 'malformed' | 'unknown', why: string): Decoded => ({ ok: false, cause, why });

/** One text frame of the peer. Never throws. The depth of a body is its handler's to check, by a schema. */
export function decodeMessage(text: string): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return bad('malformed', 'not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return bad('malformed', 'not an object');
  const given = value as Record<string, Json>;
  switch (given.t) {
    case 'hello':
      return checked(hello, given, (found) => found);
    case 'call':
      return checked(call, given, ({ t, id, name, ms }) => ({ t, id, name, ms, body: given.body ?? null }));
    case 'answer':
      return checked(answer, given, ({ t, id, ok }) =>
        ok ? { t, id, ok, body: given.body ?? null } : { t, id, ok, error: errorText(given.error) },
      );
    default:
      return bad('unknown', `kind ${kindText(given.t)}`);
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, make: (found: T) => PeerMessage): Decoded {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, message: make(parsed.data) };
  const issue = parsed.error.issues[0];
  return bad('malformed', `${issue?.path.join('.') || 'message'}: ${issue?.message ?? 'not as expected'}`);
}

/** Not String(): an object whose `toString` is no function would throw. */
function kindText(value: Json | undefined): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : `of type ${typeof value}`;
}

/** What an error says, as one bounded line. */
export function errorText(value: unknown): string {
  const text = value instanceof Error ? value.message : typeof value === 'string' ? value : '';
  return (
    text
      .replaceAll(/\p{Cc}+/gu, ' ')
      .trim()
      .slice(0, PEER_LIMITS.text) || 'failed without saying why'
  );
}

/** One text frame; null: longer than the peer would take. */
export function encodeMessage(message: PeerMessage): string | null {
  const text = JSON.stringify(message.t === 'hello' ? message : { v: PEER_FORMAT, ...message });
  return Buffer.byteLength(text) > PEER_LIMITS.message ? null : text;
}

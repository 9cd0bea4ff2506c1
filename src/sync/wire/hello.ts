/**
 * The sealed body of a HELLO: JSON, so that a later version can add a field and an earlier one reads on. Pure codec.
 *
 *   {"node": name of the sender, "echo": the receiver's nonce as the sender last heard it (32 hex digits) or null,
 *    "versions": [1], "keys": ids of the pair's secrets that the sender takes, "ask": true when it wants a HELLO back}
 */
import { WIRE_VERSION } from './datagram.ts';

const HEX_NONCE = /^[0-9a-f]{32}$/;
const MAX_NAME = 64;
const MOST_KEYS = 8;

export interface Hello {
  node: string;
  echo: string | null;
  /** A node that knows only one key names none. */
  keys: readonly string[];
  ask: boolean;
}

export function encodeHello({ node, echo, keys, ask }: Hello): Buffer {
  return Buffer.from(JSON.stringify({ node, echo, versions: [WIRE_VERSION], keys, ...(ask ? { ask } : {}) }));
}

/** `null`: no HELLO. */
export function decodeHello(body: Buffer): Hello | null {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('node' in value) || !('echo' in value)) return null;
  const { node, echo } = value;
  if (typeof node !== 'string' || node.length === 0 || node.length > MAX_NAME) return null;
  if (echo !== null && (typeof echo !== 'string' || !HEX_NONCE.test(echo))) return null;
  return { node, echo, keys: keysOf(value), ask: 'ask' in value && value.ask === true };
}

function keysOf(value: object): string[] {
  const keys: unknown = 'keys' in value ? value.keys : null;
  return Array.isArray(keys) ? keys.filter((key): key is string => typeof key === 'string').slice(0, MOST_KEYS) : [];
}

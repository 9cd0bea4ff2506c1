/**
 * Sealing of the sync link's datagrams: AES-256-GCM with keys by HKDF-SHA-256 from the pair's shared secret and both
 * nodes' nonces, so every session and each direction has a key of its own and a restart never repeats a GCM nonce.
 *
 * Without a pair key the same code runs under a key that everybody can compute: damage on the wire is found, nothing
 * is kept secret or proven. The node then reports the link as open; it never looks sealed.
 */
import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from 'node:crypto';
import { HEADER_SIZE, TAG_SIZE } from './wire.ts';

const OPEN_SECRET = Buffer.from('carpio: this sync link is open');

export interface SessionKeys {
  send: KeyObject;
  receive: KeyObject;
  /** 16 bytes, equal on both nodes, never on the wire: the key of the state fingerprints. */
  fingerprint: Buffer;
}

function derive(secret: Buffer | null, salt: Buffer, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret ?? OPEN_SECRET, salt, `carpio/1 ${info}`, length));
}

// A key object costs a third of the time of raw bytes at each use: Node need not look at it again.
function sealKey(secret: Buffer | null, salt: Buffer, info: string): KeyObject {
  return createSecretKey(derive(secret, salt, info, 32));
}

/** The key of the HELLOs that one node sends while it uses this nonce. */
export function helloKey(secret: Buffer | null, nonce: Buffer): KeyObject {
  return sealKey(secret, nonce, 'hello');
}

/** The keys of a session, seen from the node that owns `own`. */
export function sessionKeys(secret: Buffer | null, own: Buffer, peer: Buffer): SessionKeys {
  const sorted = Buffer.compare(own, peer) < 0 ? [own, peer] : [peer, own];
  return {
    send: sealKey(secret, Buffer.concat([own, peer]), 'fast'),
    receive: sealKey(secret, Buffer.concat([peer, own]), 'fast'),
    fingerprint: derive(secret, Buffer.concat(sorted), 'fingerprint', 16),
  };
}

/**
 * Seals `plain` behind `clear` (the header, and the nonce of a HELLO): both are authenticated, only `plain` is hidden.
 * The GCM nonce is the header's bytes 4 to 15: session mark and counter.
 */
export function seal(key: KeyObject, clear: Buffer, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, clear.subarray(4, HEADER_SIZE));
  cipher.setAAD(clear);
  const hidden = cipher.update(plain);
  cipher.final();
  return Buffer.concat([clear, hidden, cipher.getAuthTag()]);
}

/** The plain body, or `null` when the datagram was not sealed with this key or was changed. Needs at least clear + tag bytes. */
export function open(key: KeyObject, datagram: Buffer, clearLength: number): Buffer | null {
  if (datagram.length < clearLength + TAG_SIZE) return null;
  const end = datagram.length - TAG_SIZE;
  const decipher = createDecipheriv('aes-256-gcm', key, datagram.subarray(4, HEADER_SIZE));
  decipher.setAAD(datagram.subarray(0, clearLength));
  decipher.setAuthTag(datagram.subarray(end));
  const plain = decipher.update(datagram.subarray(clearLength, end));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return plain;
}

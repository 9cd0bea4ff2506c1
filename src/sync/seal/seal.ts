/**
 * Seals the sync link's datagrams: AES-256-GCM, with keys by HKDF-SHA-256 from the pair's shared secret and both nodes'
 * nonces. So every session and each direction has a key of its own, and a restart never repeats a GCM nonce.
 *
 * Without a pair key the same code runs under a key that everybody can compute: damage on the wire is found, but
 * nothing is kept secret and nothing is proven. The node then reports the link as open; it never looks sealed.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from 'node:crypto';
import type { Aead, AeadMaker } from '../../contract/aead.ts';
import { HEADER_SIZE, TAG_SIZE } from '../wire/datagram.ts';

const OPEN_SECRET = Buffer.from('carpio: this sync link is open');

interface SessionKeys {
  send: Aead;
  receive: Aead;
  /** 16 bytes, equal on both nodes, never on the wire: the key of the state fingerprints. */
  fingerprint: Buffer;
}

function derive(secret: Buffer | null, salt: Buffer, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret ?? OPEN_SECRET, salt, `carpio/1 ${info}`, length));
}

/** The key of the HELLOs that a node sends while it uses this nonce. */
export function helloKey(secret: Buffer | null, nonce: Buffer): Aead {
  return nodeAead(derive(secret, nonce, 'hello', 32));
}

/** What a secret of the pair adds to the keys of a session that began under another, 32 bytes (key-chain.ts). */
export function chainSecret(secret: Buffer | null): Buffer {
  return derive(secret, Buffer.alloc(0), 'chain', 32);
}

/** The bytes of a session's first keys, as the node that has the nonce `own` uses them. */
export function sessionSecrets(
  secret: Buffer | null,
  own: Buffer,
  peer: Buffer,
): { send: Buffer; receive: Buffer; fingerprint: Buffer } {
  const sorted = Buffer.compare(own, peer) < 0 ? [own, peer] : [peer, own];
  return {
    send: derive(secret, Buffer.concat([own, peer]), 'fast', 32),
    receive: derive(secret, Buffer.concat([peer, own]), 'fast', 32),
    fingerprint: derive(secret, Buffer.concat(sorted), 'fingerprint', 16),
  };
}

/** The same as ciphers. */
export function sessionKeys(secret: Buffer | null, own: Buffer, peer: Buffer, make: AeadMaker = nodeAead): SessionKeys {
  const { send, receive, fingerprint } = sessionSecrets(secret, own, peer);
  return { send: make(send), receive: make(receive), fingerprint };
}

/** By Node's own cipher objects; kernel/aead.ts does the same in less time. */
export function nodeAead(bytes: Buffer): Aead {
  // At each use a key object takes a third of the time of raw bytes, because Node does not read the bytes again.
  const key = createSecretKey(bytes);
  return {
    seal(clear, plain) {
      const cipher = createCipheriv('aes-256-gcm', key, clear.subarray(4, HEADER_SIZE));
      cipher.setAAD(clear);
      const hidden = cipher.update(plain);
      cipher.final();
      return Buffer.concat([clear, hidden, cipher.getAuthTag()]);
    },
    open(datagram, clearLength) {
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
    },
  };
}

/**
 * What proves the peer: a TLS 1.3 pre-shared key (RFC 8446, 2.2) derived from the pair's secret, so that the secret
 * itself is used for nothing else than derivations. The handshake always has an ephemeral key exchange on top
 * (psk_dhe_ke): who learns the key later cannot read what was recorded earlier.
 */
import { hkdfSync } from 'node:crypto';

/** TLS 1.3 binds a pre-shared key that came without a hash to SHA-256, so only suites with SHA-256 fit. */
export const PEER_CIPHER = 'TLS_AES_128_GCM_SHA256';
const PREFIX = 'carpio/1 ';

export interface PeerKey {
  /** 32 bytes. */
  readonly psk: Buffer;
  /** Crosses the wire in clear: `carpio/1 ` and 16 hex digits that only this key gives, and that give nothing of it. */
  readonly identity: string;
}

/** A secret of the pair with what it gives for the channel. */
export interface ChannelKey extends PeerKey {
  readonly secret: Uint8Array;
}

export const channelKeys = (secrets: readonly Uint8Array[]): ChannelKey[] =>
  secrets.map((secret) => ({ secret, ...peerKey(secret) }));

/** @param secret the pair's secret, [sync] key_file */
export function peerKey(secret: Uint8Array): PeerKey {
  const derive = (label: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `carpio/1 ${label}`, length));
  return {
    psk: derive('peer channel', 32),
    identity: `${PREFIX}${derive('peer channel identity', 8).toString('hex')}`,
  };
}

/** What seals the datagrams of the sync link: sync/seal/ makes the keys, kernel/aead.ts is the fast way to use one. */

/** One key of AES-256-GCM. The clear part is authenticated with the rest; its bytes 4 to 15 are the GCM nonce. */
export interface Aead {
  /** `clear`, then `plain` hidden, then the tag. Whoever keeps it longer than until the next call copies it. */
  seal(clear: Buffer, plain: Uint8Array): Buffer;
  /** The plain body, or `null` when it was not sealed with this key or was changed; to be copied like the above. */
  open(datagram: Buffer, clearLength: number): Buffer | null;
}

/** Makes one from 32 bytes. */
export type AeadMaker = (key: Buffer) => Aead;

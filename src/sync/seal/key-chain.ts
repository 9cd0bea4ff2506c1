/**
 * The keys of one direction of a session, one after the other. HMAC-SHA-256 makes each key from the one before, which
 * is then forgotten: who reads today's key out of a machine cannot open what was captured yesterday.
 *
 * The epoch stands in the upper 16 bits of the header's counter, which are authenticated with the rest. The lower 48
 * bits count through all epochs, so the replay window needs no keys and no number is used twice. The sender goes on to
 * the next key at any time. The receiver follows at the first datagram that opens with the next key, and accepts
 * datagrams of the epoch before for as long as they can still be on their way. Nothing is agreed on, so nothing stops.
 * The sender goes on only when the peer has acknowledged something of the present epoch, so the receiver follows one
 * step at a time.
 *
 * When the pair's own key has been changed on both nodes, the next step mixes the new one in. From then on, somebody
 * who has the old key and a capture of the session's begin cannot compute the keys any more.
 */
import { createHmac } from 'node:crypto';
import type { Aead, AeadMaker } from '../../contract/aead.ts';
import { HEADER_SIZE } from '../wire/datagram.ts';

/** A key is used for so many ms and so many datagrams, whichever comes first: far below what GCM bears. */
const KEY_LIFE = { ms: 3_600_000, datagrams: 1 << 26 } as const;
/** Datagrams of the epoch before are accepted for so long: longer than the stream waits before it sends again. */
const GRACE_MS = 5000;
const EPOCH_SHIFT = 48n;
const COUNT_MASK = (1n << EPOCH_SHIFT) - 1n;
const MOST_EPOCHS = 0xffff;

export type KeyLife = Readonly<{ ms: number; datagrams: number }>;

/** What the replay window sees of a counter. */
export const countOf = (counter: bigint): bigint => counter & COUNT_MASK;

/** A secret of the pair that a step mixes in. */
export interface Mix {
  /** Names the secret (pair-keys.ts). */
  id: string;
  /** 32 bytes made of it. */
  bytes: Buffer;
}

function next(key: Buffer, mix: Mix | null): Buffer {
  const mac = createHmac('sha256', key).update('carpio/1 next key');
  return (mix === null ? mac : mac.update(mix.bytes)).digest();
}

export class SendChain {
  private readonly make: AeadMaker;
  private readonly life: KeyLife;
  private key: Buffer;
  private aead: Aead;
  private epoch = 0;
  private count = 0n;
  private used = 0;
  private since: number;
  private secret: string;

  /** @param under names the pair's secret that the key was made of */
  constructor(key: Buffer, make: AeadMaker, now: number, life: KeyLife = KEY_LIFE, under = '') {
    this.make = make;
    this.life = life;
    this.secret = under;
    this.key = key;
    this.aead = make(key);
    this.since = now;
  }

  /** Names the pair's secret that was mixed in last. */
  get under(): string {
    return this.secret;
  }

  /** Has the key in use come to the end of its life? */
  old(now: number): boolean {
    return now - this.since >= this.life.ms || this.used >= this.life.datagrams;
  }

  /** Goes on to the next key. The peer must have followed to the present one. */
  renew(now: number, mix: Mix | null = null): void {
    if (this.epoch >= MOST_EPOCHS) return;
    this.key = next(this.key, mix);
    this.aead = this.make(this.key);
    this.secret = mix?.id ?? this.secret;
    this.epoch += 1;
    this.used = 0;
    this.since = now;
  }

  /** The counter of the next datagram. */
  take(): bigint {
    this.used += 1;
    this.count += 1n;
    return (BigInt(this.epoch) << EPOCH_SHIFT) | this.count;
  }

  /** @param clear the header, with the counter that `take` has just returned */
  seal(clear: Buffer, plain: Uint8Array): Buffer {
    return this.aead.seal(clear, plain);
  }
}

export class ReceiveChain {
  private readonly make: AeadMaker;
  private key: Buffer;
  private aead: Aead;
  private epoch = 0;
  private before: { aead: Aead; until: number } | null = null;
  /** Made at the first datagram that claims the next epoch: forged ones cost one key for each secret, not one each. */
  private after: { key: Buffer; aead: Aead; under: string }[] | null = null;
  private secret: string;
  private readonly mixes: (under: string) => readonly Mix[];

  /**
   * @param under names the pair's secret that the key was made of
   * @param mixes the secrets that the peer may mix in
   */
  constructor(key: Buffer, make: AeadMaker, under = '', mixes: (under: string) => readonly Mix[] = () => []) {
    this.make = make;
    this.key = key;
    this.aead = make(key);
    this.secret = under;
    this.mixes = mixes;
  }

  /** Names the pair's secret that was mixed in last. */
  get under(): string {
    return this.secret;
  }

  /** The pair's secrets have been replaced. */
  refresh(): void {
    this.after = null;
  }

  /** The body; null: not sealed by the peer, or of an epoch that is over or too far ahead. */
  open(datagram: Buffer, counter: bigint, now: number): Buffer | null {
    const ahead = Number(counter >> EPOCH_SHIFT) - this.epoch;
    if (ahead === 0) return this.aead.open(datagram, HEADER_SIZE);
    if (ahead === -1) return this.openBefore(datagram, now);
    return ahead === 1 ? this.openAfter(datagram, now) : null;
  }

  private openBefore(datagram: Buffer, now: number): Buffer | null {
    if (this.before === null) return null;
    if (now > this.before.until) {
      this.before = null;
      return null;
    }
    return this.before.aead.open(datagram, HEADER_SIZE);
  }

  private openAfter(datagram: Buffer, now: number): Buffer | null {
    this.after ??= [null, ...this.mixes(this.secret)].map((mix) => {
      const key = next(this.key, mix);
      return { key, aead: this.make(key), under: mix?.id ?? this.secret };
    });
    for (const { key, aead, under } of this.after) {
      const body = aead.open(datagram, HEADER_SIZE);
      if (body === null) continue;
      this.before = { aead: this.aead, until: now + GRACE_MS };
      this.key = key;
      this.aead = aead;
      this.secret = under;
      this.epoch += 1;
      this.after = null;
      return body;
    }
    return null;
  }
}

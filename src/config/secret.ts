/**
 * A value that must never be printed: passwords, the pair key, the feed token. It prints as `[secret]` wherever a value
 * is turned into text by accident (template strings, JSON, console, inspect), so that only `reveal()` gives it away.
 */

import { createHash, timingSafeEqual } from 'node:crypto';

const SHOWN = '[secret]';

export class Secret {
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  /** Length in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves. A copy, so that a caller that wipes its buffer does not change the configuration. */
  reveal(): Buffer {
    return Buffer.from(this.#bytes);
  }

  /** Constant-time comparison; hashing first keeps the length out of the time it takes. */
  equals(other: Secret | Uint8Array): boolean {
    const bytes = other instanceof Secret ? other.#bytes : other;
    const digest = (value: Uint8Array) => createHash('sha256').update(value).digest();
    return timingSafeEqual(digest(this.#bytes), digest(bytes));
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  get [Symbol.toStringTag](): string {
    return 'Secret';
  }

  [Symbol.toPrimitive](): string {
    return SHOWN;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return SHOWN;
  }
}

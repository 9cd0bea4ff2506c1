/** Changes of the running configuration: one after the other, each whole or not at all (invariant 6). */

import { messageOf } from '../contract/message-of.ts';
import type { Prepared } from '../replicate/prepared.ts';

interface ChangePorts {
  /** What is in force. */
  current(): Prepared;
  /** Why nothing can be changed any more; null: it can. */
  ended(): string | null;
  /** Loads the rules in one transaction. @throws Error in one line; then nothing has changed */
  applyRules(prepared: Prepared): Promise<void>;
  /** Loads the rules in force once more. @throws Error in one line */
  loadAgain(): Promise<void>;
  /** Everything else. @throws (rejects with) Error in one line */
  takeOver(prepared: Prepared): Promise<void>;
  /** Around each change: nobody takes it for somebody else's. */
  hold(): void;
  settle(): Promise<void>;
}

export class Changes {
  readonly #ports: ChangePorts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(ports: ChangePorts) {
    this.#ports = ports;
  }

  /** Resolves with null, or with why it could not be; then what was before is in force. Never rejects. */
  make(prepared: Prepared): Promise<string | null> {
    const run = this.#last.then(() => this.#makeOrGoBack(prepared));
    this.#last = run;
    return run;
  }

  /** Loads the rules in force once more, in its turn. Resolves with null, or why it could not be. Never rejects. */
  again(): Promise<string | null> {
    const run = this.#last.then(() => this.#loadAgain());
    this.#last = run;
    return run;
  }

  async #loadAgain(): Promise<string | null> {
    const ports = this.#ports;
    const ended = ports.ended();
    if (ended !== null) return ended;
    ports.hold();
    try {
      await ports.loadAgain();
      return null;
    } catch (error) {
      return messageOf(error);
    } finally {
      await ports.settle();
    }
  }

  async #makeOrGoBack(prepared: Prepared): Promise<string | null> {
    const ports = this.#ports;
    const ended = ports.ended();
    if (ended !== null) return ended;
    const before = ports.current();
    ports.hold();
    try {
      await ports.applyRules(prepared);
      try {
        await ports.takeOver(prepared);
      } catch (error) {
        await ports.applyRules(before);
        await ports.takeOver(before);
        throw error;
      }
      return null;
    } catch (error) {
      return messageOf(error);
    } finally {
      await ports.settle();
    }
  }
}

/** What the proof of advertisements keeps from one run to the next: one small file, whole or not at all, mode 0600. */
import { readFileSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../contract/message-of.ts';
import type { ProofMemory } from './machine.ts';

const FILE = 'adverts.json';
const MAX_BYTES = 4096;
const epoch = z.string().regex(/^[0-9a-f]{32}$/);
const sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const memorySchema = z.object({
  own: z.object({ epoch, reserved: sequence }),
  peer: z.object({ epoch, seen: sequence }).nullable(),
});

export class ProofStore {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  #next: ProofMemory | null = null;
  #writing: Promise<void> | null = null;

  constructor(stateDir: string, warn: (message: string) => void) {
    this.#path = `${stateDir}/${FILE}`;
    this.#warn = warn;
  }

  /** Null: nothing is kept, or nothing that can be used; then this node begins a new epoch. */
  read(): ProofMemory | null {
    try {
      const text = readFileSync(this.#path, 'utf8');
      return text.length > MAX_BYTES ? null : memorySchema.parse(JSON.parse(text));
    } catch {
      return null;
    }
  }

  /** Beside the loop: the disk of a small box may take its time. Of several at once the last counts. */
  write(memory: ProofMemory): Promise<void> {
    this.#next = memory;
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #drain(): Promise<void> {
    for (let memory = this.#next; memory !== null; memory = this.#next) {
      this.#next = null;
      try {
        await this.#writeOne(JSON.stringify(memory));
      } catch (error) {
        this.#warn(`cannot keep ${this.#path}: ${messageOf(error)}; after a restart the sync link is needed once`);
      }
    }
  }

  async #writeOne(text: string): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const file = await open(`${this.#path}.new`, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${this.#path}.new`, this.#path);
  }
}

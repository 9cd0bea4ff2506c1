/**
 * What a replica has taken from its source, on disk: `replicated.json` is in force; `replicated.next.json` is one that
 * was never confirmed. Each write is whole or not at all, also when the power goes: a new file, synced, renamed. The
 * pass phrases are in it, so nobody else may read it.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { z } from 'zod';
import { fileTrouble } from '../config/secret-files.ts';
import type { SharedDocument } from './document.ts';
import { documentSchema } from './messages.ts';

const COMMITTED = 'replicated.json';
const PENDING = 'replicated.next.json';
const MAX_STORED = 8 * 1024 * 1024;

const storedSchema = z.object({ taken: z.string().max(64), document: documentSchema });

interface Stored {
  /** ISO time of the push. */
  taken: string;
  document: SharedDocument;
}

export class ReplicaStore {
  readonly #directory: string;

  constructor(stateDir: string) {
    this.#directory = stateDir;
  }

  get path(): string {
    return `${this.#directory}/${COMMITTED}`;
  }

  /** @throws Error when the file is there and cannot be used, with what to do */
  read(): Stored | null {
    return this.#load(COMMITTED);
  }

  /** A push that was never confirmed, because this node died in the middle of it. Reading it takes it away. */
  takeAbandoned(): boolean {
    const path = `${this.#directory}/${PENDING}`;
    if (!existsSync(path)) return false;
    rmSync(path, { force: true });
    return true;
  }

  /** Before anything is touched: should this node die, the next start knows that it was in the middle. */
  stage(stored: Stored): void {
    this.#write(PENDING, JSON.stringify(stored));
  }

  commit(): void {
    renameSync(`${this.#directory}/${PENDING}`, this.path);
    this.#syncDirectory();
  }

  discard(): void {
    rmSync(`${this.#directory}/${PENDING}`, { force: true });
    this.#syncDirectory();
  }

  #load(name: string): Stored | null {
    const path = `${this.#directory}/${name}`;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new Error(`cannot read ${path}: ${fileTrouble(error)}`);
    }
    const mend = 'remove it, and the peer sends it anew';
    if (text.length > MAX_STORED) throw new Error(`${path} is longer than ${MAX_STORED} bytes; ${mend}`);
    try {
      return storedSchema.parse(JSON.parse(text));
    } catch {
      throw new Error(`${path} is damaged; ${mend}`);
    }
  }

  #write(name: string, text: string): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const path = `${this.#directory}/${name}`;
    const fd = openSync(`${path}.tmp`, 'w', 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(`${path}.tmp`, path);
    this.#syncDirectory();
  }

  #syncDirectory(): void {
    const fd = openSync(this.#directory, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

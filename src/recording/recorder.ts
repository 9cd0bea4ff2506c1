/**
 * `carpio run --record FILE`: takes the lines of all taps and writes them, and never waits for the disk. A line that
 * finds no room in memory is lost and counted. Files are bounded: a full one becomes FILE.1, and the oldest is removed.
 * Mode 0600.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { messageOf } from '../contract/message-of.ts';
import type { MachineName, TapMaker } from '../contract/tap.ts';
import { blind, Tap } from '../contract/tap.ts';
import { VERSION } from '../contract/version.ts';
import { RECORD_FORMAT } from './formats.ts';

interface RecordLimits {
  file: number;
  files: number;
  buffer: number;
  retry: number;
}

const RECORD_LIMITS: RecordLimits = {
  /** Bytes of one file, about; and how many files there are, the newest included. */
  file: 64 * 1024 * 1024,
  files: 4,
  /** Bytes that wait in memory for the disk. */
  buffer: 8 * 1024 * 1024,
  /** Milliseconds after a failed write before the next one. */
  retry: 5000,
};

interface RecorderPorts {
  warn(message: string): void;
  /** A new file has begun, or lines were lost: the machines of other threads must write their states too. */
  snapshots(): void;
}

export class Recorder implements TapMaker {
  /** Lines that found no room. */
  lost = 0;
  private readonly path: string;
  private readonly node: string;
  private readonly limits: RecordLimits;
  private readonly taps: Tap[] = [];
  private readonly big = blind();
  private ports: RecorderPorts;
  private file: FileHandle | null = null;
  private fileBytes = 0;
  private waiting: string[] = [];
  private waitingBytes = 0;
  private lossy = false;
  private closing = false;
  private writing: Promise<void> | null = null;

  constructor(path: string, node: string, ports: RecorderPorts, limits: Partial<RecordLimits> = {}) {
    this.path = path;
    this.node = node;
    this.ports = ports;
    this.limits = { ...RECORD_LIMITS, ...limits };
  }

  /** @throws Error when the file cannot be made */
  async start(): Promise<void> {
    await this.begin();
  }

  tap(machine: MachineName, state: () => unknown): Tap {
    const tap = new Tap(machine, (line) => this.take(line), state, this.big);
    this.taps.push(tap);
    return tap;
  }

  /** Lines of another thread. */
  foreign(lines: readonly string[]): void {
    for (const line of lines) this.take(line);
  }

  /** Writes the last states and what waits, within a second. */
  async close(): Promise<void> {
    for (const tap of this.taps) tap.snapshot();
    this.closing = true;
    const limit = new Promise<void>((resolve) => setTimeout(resolve, 1000).unref());
    while (this.waiting.length > 0 && this.writing !== null)
      await Promise.race([this.writing, limit.then(() => this.giveUp())]);
    await this.writing?.catch(() => {});
    await this.file?.close().catch(() => {});
    this.file = null;
  }

  private giveUp(): void {
    this.waiting = [];
    this.waitingBytes = 0;
  }

  private take(line: string): boolean {
    if (this.waitingBytes + line.length > this.limits.buffer) {
      this.lost += 1;
      if (!this.lossy) this.ports.warn(`recording: lines are lost, ${this.path} is not written fast enough`);
      this.lossy = true;
      return false;
    }
    this.waiting.push(line);
    this.waitingBytes += line.length + 1;
    // Not at once: a step often brings others.
    if (this.writing === null) this.writing = new Promise((resolve) => setImmediate(resolve)).then(() => this.drain());
    return true;
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      const text = `${this.waiting.join('\n')}\n`;
      this.waiting = [];
      this.waitingBytes = 0;
      try {
        if (this.file === null || this.fileBytes >= this.limits.file) await this.begin();
        await this.file?.appendFile(text);
        this.fileBytes += text.length;
      } catch (error) {
        await this.failed(text, error);
      }
      if (this.lossy) this.renew();
    }
    this.writing = null;
  }

  /** The disk is full, or worse: what was not written is lost, and a warning says so. */
  private async failed(text: string, error: unknown): Promise<void> {
    this.lost += text.split('\n').length - 1;
    const why = messageOf(error);
    if (!this.lossy) this.ports.warn(`recording: ${why}`);
    this.lossy = true;
    await this.file?.close().catch(() => {});
    this.file = null;
    if (!this.closing) await new Promise((resolve) => setTimeout(resolve, this.limits.retry).unref());
  }

  /** There is room again: every machine writes its state, so that a replay can continue behind the gap. */
  private renew(): void {
    if (this.file === null) return;
    this.lossy = false;
    this.waiting.push(JSON.stringify({ lost: this.lost, at: Date.now() }));
    for (const tap of this.taps) tap.snapshot();
    this.ports.snapshots();
  }

  private async begin(): Promise<void> {
    const again = this.file !== null || this.fileBytes > 0;
    await this.file?.close();
    this.file = null;
    await rm(`${this.path}.${this.limits.files - 1}`, { force: true });
    for (let n = this.limits.files - 2; n >= 0; n--) {
      await rename(n === 0 ? this.path : `${this.path}.${n}`, `${this.path}.${n + 1}`).catch(ignoreMissing);
    }
    this.file = await open(this.path, 'wx', 0o600);
    const head = { carpio: VERSION, record: RECORD_FORMAT, node: this.node, at: Date.now() };
    await this.file.appendFile(`${JSON.stringify(head)}\n`);
    this.fileBytes = 0;
    if (!again) return;
    for (const tap of this.taps) tap.snapshot();
    this.ports.snapshots();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

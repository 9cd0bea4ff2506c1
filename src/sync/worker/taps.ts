/**
 * The worker's side of a recording: lines go to the control thread in batches, as many as that thread keeps up with.
 */
import type { MachineName, TapMaker } from '../../contract/tap.ts';
import { Tap } from '../../contract/tap.ts';

/** Bytes on their way to the control thread. */
const MOST_UNDERWAY = 4 * 1024 * 1024;

interface WorkerTapsPorts {
  post(lines: string[], bytes: number): void;
  /** Bytes that the control thread has taken so far. */
  taken(): number;
}

export class WorkerTaps implements TapMaker {
  private readonly ports: WorkerTapsPorts;
  private readonly taps: Tap[] = [];
  private lines: string[] = [];
  private bytes = 0;
  private sent = 0;

  constructor(ports: WorkerTapsPorts) {
    this.ports = ports;
  }

  tap(machine: MachineName, state: () => unknown): Tap {
    const tap = new Tap(machine, (line) => this.take(line), state);
    this.taps.push(tap);
    return tap;
  }

  snapshot(): void {
    for (const tap of this.taps) tap.snapshot();
  }

  /** Called once a pass: a message for each line would cost more than the line. */
  flush(): void {
    if (this.lines.length === 0) return;
    this.ports.post(this.lines, this.bytes);
    this.sent += this.bytes;
    this.lines = [];
    this.bytes = 0;
  }

  private take(line: string): boolean {
    if (this.sent - this.ports.taken() + this.bytes + line.length > MOST_UNDERWAY) return false;
    this.lines.push(line);
    this.bytes += line.length;
    return true;
  }
}

/**
 * The event hook: each event once, in order, as one JSON object on the standard input of a program of the user's. It
 * runs beside the node and never holds anything up; when it cannot keep up, the oldest waiting events are left out and
 * counted.
 */
import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { ToldEvent } from '../../contract/events.ts';
import { start } from '../../kernel/spawn.ts';

const MAX_WAITING = 256;
/** A hook that runs longer is ended, ms. */
const TIMEOUT = 10_000;

export class EventHook {
  dropped = 0;
  failed = 0;
  private readonly program: string;
  private readonly complain: (message: string) => void;
  private waiting: string[] = [];
  private running = false;

  constructor(program: string, complain: (message: string) => void) {
    this.program = program;
    this.complain = complain;
  }

  push(event: ToldEvent & { time: string; node: string }): void {
    this.waiting.push(`${JSON.stringify(event)}\n`);
    if (this.waiting.length > MAX_WAITING) {
      this.waiting.shift();
      this.dropped += 1;
    }
    this.next();
  }

  private next(): void {
    const text = this.waiting[0];
    if (this.running || text === undefined) return;
    this.waiting.shift();
    this.running = true;
    const child = start(this.program, [], (program, args) =>
      spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'], timeout: TIMEOUT, killSignal: 'SIGKILL' }),
    );
    let ended = false;
    const done = (fault: string | null): void => {
      if (ended) return;
      ended = true;
      this.running = false;
      if (fault !== null) {
        this.failed += 1;
        this.complain(`hooks.on_event: ${this.program}: ${fault}`);
      }
      this.next();
    };
    child.on('error', (error) => done(error.message));
    child.on('exit', (code, signal) => {
      done(
        code === 0 ? null : signal === null ? `ended with code ${code}` : `ended by ${signal} (limit ${TIMEOUT} ms)`,
      );
    });
    // A hook that does not read its input closes the pipe: its own affair.
    // Without a file descriptor to spare there is no pipe at all; 'error' tells.
    const input: Writable | undefined = child.stdin;
    input?.on('error', () => {});
    input?.end(text);
  }
}

/**
 * One machine's side of a recording: numbers its steps and makes a line of each. A line that finds no room is lost and
 * leaves a gap in the numbers; the machine's whole state follows, so that a replay can go on behind the gap, and cannot
 * overlook it. Holds no clock but the wall's, which is for people.
 *
 *   {"m":"group","i":7,"at":1767225600000,"in":{…},"out":[…]}     step 7: what went in, what came out
 *   {"m":"group","i":8,"at":1767225600000,"state":{…}}            the state before step 8
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { BigWriter } from './tap-values.ts';
import { encodeValue } from './tap-values.ts';

/** The machines that can be recorded: election, session, early take-over, unmasking. */
export type MachineName = 'group' | 'sync' | 'probe' | 'mask';

/** Takes a line (without its end); false: there is no room. */
type Sink = (line: string) => boolean;

/** Makes the taps of one thread. */
export interface TapMaker {
  tap(machine: MachineName, state: () => unknown): Tap;
}

const LINE_LIMITS = {
  /** Bytes of a step. */
  step: 64 * 1024,
  /** Bytes of a state: 255 vhids are about 200 kB. */
  state: 1024 * 1024,
} as const;

/** Steps between two whole states: what a replay compares beside the actions. */
const STATE_EVERY = 250;

/**
 * Counters of advertisements are large integers.
 * They are only ever compared, so the recording has the first 8 bytes of a keyed hash instead, under a key of its own.
 */
export function blind(): BigWriter {
  const key = randomBytes(32);
  return (value) => createHmac('sha256', key).update(value.toString()).digest().readBigUInt64BE(0).toString();
}

export class Tap {
  /** Steps so far that could not be written. */
  lost = 0;
  private readonly machine: MachineName;
  private readonly sink: Sink;
  private readonly state: () => unknown;
  private readonly big: BigWriter | undefined;
  private next = 1;
  private stateDue = false;

  /** @param state the machine's state as it is to be written; called between steps */
  constructor(machine: MachineName, sink: Sink, state: () => unknown, big?: BigWriter) {
    this.machine = machine;
    this.sink = sink;
    this.state = state;
    this.big = big;
    this.snapshot();
  }

  /** To be called before the step, which may change what goes in. @returns what `after` is to be given */
  before(input: unknown): string {
    return this.encode(input, LINE_LIMITS.step) ?? '';
  }

  /** To be called right after the step, before anything else happens to the machine. */
  after(input: string, actions: readonly unknown[]): void {
    const number = this.next++;
    const out = input === '' ? null : this.encode(actions, LINE_LIMITS.step);
    const line = out === null ? null : `${this.head(number)},"in":${input},"out":${out}}`;
    if (line === null || !this.sink(line)) {
      this.lost += 1;
      this.stateDue = true;
    }
    if (this.stateDue || number % STATE_EVERY === 0) this.snapshot();
  }

  /** The whole state, now or as soon as there is room. */
  snapshot(): void {
    const state = this.encode(this.state(), LINE_LIMITS.state);
    this.stateDue = state !== null && !this.sink(`${this.head(this.next)},"state":${state}}`);
  }

  private head(number: number): string {
    return `{"m":"${this.machine}","i":${number},"at":${Date.now()}`;
  }

  /** Null: it cannot be written. A recording never disturbs what it records. */
  private encode(value: unknown, most: number): string | null {
    try {
      const text = encodeValue(value, this.big);
      return text.length > most ? null : text;
    } catch {
      return null;
    }
  }
}

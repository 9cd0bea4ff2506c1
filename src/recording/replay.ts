/**
 * Runs a recording through the production machines and compares their actions with the recorded ones, line by line, so
 * that a file of any length needs no memory. Pure: lines in, a report out.
 */
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../contract/message-of.ts';
import type { MachineName } from '../contract/tap.ts';
import { decodeValue, encodeValue } from '../contract/tap-values.ts';
import { type Line, RECORD_FORMATS, upgraded } from './formats.ts';
import { MACHINES, runMachine } from './machines.ts';

interface Difference {
  line: number;
  machine: MachineName;
  step: number;
  at: number;
  what: 'actions' | 'state' | 'failed';
  /** As JSON. */
  input: string;
  recorded: string;
  replayed: string;
}

export interface ReplayReport {
  /** From the file's first line; null when it has none. */
  node: string | null;
  version: string | null;
  steps: Record<MachineName, number>;
  /** Whole states that were compared. */
  states: number;
  difference: Difference | null;
  /** Steps that the file lacks, by the gaps in their numbers. */
  missing: number;
  /** Steps before the first state of their machine: the file continues an older one. */
  unreplayed: number;
  /** Lines that are no lines of a recording; `cut`: the last one has no end. */
  damaged: { line: number; reason: string }[];
  cut: boolean;
}

interface Running {
  state: unknown;
  next: number;
}

/** One step that was run again. */
export interface Step {
  at: number;
  machine: MachineName;
  input: unknown;
  actions: unknown[];
}

const MOST_DAMAGED = 10;

export class Replay {
  readonly report: ReplayReport = {
    node: null,
    version: null,
    steps: { group: 0, sync: 0, probe: 0, mask: 0 },
    states: 0,
    difference: null,
    missing: 0,
    unreplayed: 0,
    damaged: [],
    cut: false,
  };
  private readonly running = new Map<MachineName, Running>();
  private readonly onStep: (step: Step) => void;
  private lines = 0;
  private format = 0;

  constructor(onStep: (step: Step) => void = () => {}) {
    this.onStep = onStep;
  }

  /** @param ended false: the file ends without the end of this line */
  take(text: string, ended = true): void {
    this.lines += 1;
    let value: unknown;
    try {
      value = decodeValue(text);
    } catch (error) {
      if (ended) this.damaged(messageOf(error));
      else this.report.cut = true;
      return;
    }
    if (this.lines === 1) this.takeHead(value);
    else if (isLine(value)) this.takeLine(this.format === 1 ? upgraded(value) : value);
    else if (!isLossNote(value)) this.damaged('neither a step nor a state');
  }

  private takeHead(value: unknown): void {
    const head = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
    if (typeof head.record !== 'number' || !RECORD_FORMATS.includes(head.record)) {
      this.damaged(
        `found ${printed(head.record)} as the format, expected ${RECORD_FORMATS.join(' or ')}: no recording of this kind`,
      );
      return;
    }
    this.format = head.record;
    this.report.node = typeof head.node === 'string' ? head.node : null;
    this.report.version = typeof head.carpio === 'string' ? head.carpio : null;
  }

  private takeLine(line: Line): void {
    const running = this.running.get(line.m);
    if (line.state !== undefined) this.takeState(line, running);
    else if (running === undefined) this.report.unreplayed += 1;
    else this.takeStep(line, running);
  }

  private takeState(line: Line, running: Running | undefined): void {
    if (running !== undefined && running.next === line.i) {
      this.report.states += 1;
      if (!isDeepStrictEqual(normal(running.state), normal(line.state))) {
        this.differ(line, 'state', '', line.state, running.state);
      }
    }
    if (running !== undefined && line.i > running.next) this.report.missing += line.i - running.next;
    this.running.set(line.m, { state: line.state, next: line.i });
  }

  private takeStep(line: Line, running: Running): void {
    if (line.i !== running.next) {
      // The steps between are not known, so only the next whole state can be trusted.
      this.report.missing += Math.max(0, line.i - running.next);
      this.report.unreplayed += 1;
      this.running.delete(line.m);
      return;
    }
    running.next += 1;
    this.report.steps[line.m] += 1;
    let actions: unknown[];
    try {
      actions = runMachine(line.m, running.state, line.in);
      if (!Array.isArray(actions)) throw new Error('this is no input of the machine');
    } catch (error) {
      this.differ(line, 'failed', line.in, line.out, messageOf(error));
      this.running.delete(line.m);
      return;
    }
    this.onStep({ at: line.at, machine: line.m, input: line.in, actions });
    if (!isDeepStrictEqual(normal(actions), normal(line.out))) this.differ(line, 'actions', line.in, line.out, actions);
  }

  /** Only the first difference is reported: those behind it follow from it. */
  private differ(line: Line, what: Difference['what'], input: unknown, recorded: unknown, replayed: unknown): void {
    this.report.difference ??= {
      line: this.lines,
      machine: line.m,
      step: line.i,
      at: line.at,
      what,
      input: printed(input),
      recorded: printed(recorded),
      replayed: printed(replayed),
    };
  }

  private damaged(reason: string): void {
    if (this.report.damaged.length < MOST_DAMAGED) this.report.damaged.push({ line: this.lines, reason });
  }
}

/** Nothing differs, and nothing is missing. */
export function isSame(report: ReplayReport): boolean {
  const { difference, missing, damaged, steps } = report;
  return difference === null && missing === 0 && damaged.length === 0 && Object.values(steps).some((n) => n > 0);
}

function isLine(value: unknown): value is Line {
  if (typeof value !== 'object' || value === null) return false;
  const { m, i, at, out, state } = value as Record<string, unknown>;
  if (!MACHINES.includes(m as MachineName) || !Number.isSafeInteger(i) || typeof at !== 'number') return false;
  return (typeof state === 'object' && state !== null) || ('in' in value && Array.isArray(out));
}

const isLossNote = (value: unknown): boolean => typeof value === 'object' && value !== null && 'lost' in value;

/** As it is after encoding and decoding: a field that is undefined is not there. */
const normal = (value: unknown): unknown => decodeValue(encodeValue(value));

function printed(value: unknown): string {
  try {
    return encodeValue(value);
  } catch {
    return String(value);
  }
}

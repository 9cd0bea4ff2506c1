/** What the steady-load bench does to the machine and reads from it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Programs that do nothing, as fast as they can: one for each core. */
export class Burners {
  readonly #count: number;
  readonly #nice: number;
  #children: ChildProcess[] = [];

  constructor(count: number, nice: number) {
    this.#count = count;
    this.#nice = nice;
  }

  start(): void {
    const argv = ['-n', String(this.#nice), process.execPath, '-e', 'for (;;);'];
    this.#children = Array.from({ length: this.#count }, () => spawn('nice', argv, { stdio: 'ignore' }));
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children = [];
  }
}

/** How busy all cores were since it was made, 0 to 1; time that the host took away (steal) counts as busy. */
export class MachineTime {
  readonly #begun = read();

  busy(): number {
    const now = read();
    return 1 - (now.idle - this.#begun.idle) / Math.max(1, now.all - this.#begun.all);
  }
}

// cpu  user nice system idle iowait irq softirq steal
function read(): { all: number; idle: number } {
  const first = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '';
  const times = first.split(/\s+/).slice(1, 9).map(Number);
  return { all: times.reduce((sum, n) => sum + n, 0), idle: (times[3] ?? 0) + (times[4] ?? 0) };
}

/** How often each kind of event stands in a node's log since a moment (ISO time). */
export function eventsSince(log: string, since: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of log.split('\n')) {
    const entry = parse(line);
    if (entry === null || entry.time === undefined || entry.time < since) continue;
    const kind = entry.kind ?? (entry.level === 'info' ? null : `log ${entry.level}`);
    if (kind !== null) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function parse(line: string): { time?: string; kind?: string; level?: string } | null {
  try {
    return JSON.parse(line) as { time?: string; kind?: string; level?: string };
  } catch {
    return null;
  }
}

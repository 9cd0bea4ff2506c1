/** What was done and seen, in order, with the nodes' own log lines between: what a violation is told with. */
import type { Firewall } from '../lab/firewall.ts';
import { FIREWALLS } from '../lab/plan.ts';
import type { Pair } from '../lab/watch.ts';

interface Entry {
  at: number;
  who: string;
  text: string;
}

const KEPT = 400;

export class TimeLine {
  readonly #entries: Entry[] = [];
  readonly #say: (text: string) => void;
  readonly #begun = Date.now();

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  /** Seconds since the soak began. */
  get seconds(): number {
    return (Date.now() - this.#begun) / 1000;
  }

  note(text: string, aloud = false): void {
    this.#entries.push({ at: Date.now(), who: 'soak', text });
    if (this.#entries.length > KEPT) this.#entries.shift();
    if (aloud) this.#say(text);
  }

  /** The last `seconds` of everything, one line each. */
  tell(pair: Pair, seconds: number): string {
    const since = Date.now() - seconds * 1000;
    const all = [...this.#entries, ...FIREWALLS.flatMap((name) => logEntries(pair[name]))];
    return all
      .filter((entry) => entry.at >= since)
      .sort((a, b) => a.at - b.at)
      .map(({ at, who, text }) => `${((at - this.#begun) / 1000).toFixed(2).padStart(8)} s  ${who.padEnd(5)} ${text}`)
      .join('\n');
  }
}

function logEntries(firewall: Firewall): Entry[] {
  return firewall
    .log()
    .trimEnd()
    .split('\n')
    .slice(-KEPT)
    .flatMap((line) => {
      try {
        const { time, level, message } = JSON.parse(line) as Record<string, string>;
        return [{ at: Date.parse(time ?? ''), who: firewall.name, text: `${level} ${message}` }];
      } catch {
        return line === '' ? [] : [{ at: Date.now(), who: firewall.name, text: line }];
      }
    });
}

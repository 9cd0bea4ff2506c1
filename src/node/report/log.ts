/** The log: one line an entry on stderr, with the node's name on it; text for people, JSON lines for machines. */
import type { ToldEvent } from '../../contract/events.ts';

export type LogFormat = 'text' | 'json';
export type Level = 'debug' | 'info' | 'warning' | 'error';

/** syslog(3) priorities: under systemd the line's prefix `<n>` sets the journal's level. */
const PRIORITY: Record<Level, number> = { debug: 7, info: 6, warning: 4, error: 3 };

export class Log {
  private readonly node: string;
  private readonly format: LogFormat;
  private readonly journal = process.env.JOURNAL_STREAM !== undefined;
  private readonly write: (line: string) => void;
  private also: ((level: Level, time: Date, text: string) => void) | null = null;

  /** @param write where lines go; whatever it does, logging never fails the node */
  constructor(node: string, format: LogFormat, write: (line: string) => void = (line) => process.stderr.write(line)) {
    this.node = node;
    this.format = format;
    this.write = write;
  }

  /** Every entry goes there as well (syslog), as `level: text`. */
  copyTo(sink: (level: Level, time: Date, text: string) => void): void {
    this.also = sink;
  }

  say(level: Level, message: string, fields: ToldEvent | null = null): void {
    const now = new Date();
    const time = now.toISOString();
    this.also?.(level, now, `${level}: ${message}`);
    if (this.format === 'json') {
      this.write(`${JSON.stringify({ time, level, node: this.node, message, ...fields })}\n`);
      return;
    }
    const start = this.journal ? `<${PRIORITY[level]}>` : `${time} `;
    // One entry is one line, whatever text came from outside.
    this.write(`${start}${this.node} ${level}: ${message.replaceAll(/\p{Cc}+/gu, ' ')}\n`);
  }

  /** An event of the node; JSON lines carry its fields. */
  event(level: Level, message: string, { text: _said, ...fields }: ToldEvent): void {
    this.say(level, message, fields);
  }

  info(message: string): void {
    this.say('info', message);
  }

  warning(message: string): void {
    this.say('warning', message);
  }

  error(message: string): void {
    this.say('error', message);
  }
}

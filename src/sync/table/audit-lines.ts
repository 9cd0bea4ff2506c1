/** What an audit found, as lines for people. */
import { stateLine } from '../../contract/state-view.ts';
import type { Engine } from './engine.ts';
import { readState } from './state-decode.ts';

const WORDS = {
  missing: 'in the kernel, not in the table',
  changed: 'the kernel had other content than the table',
  gone: 'in the table, not in the kernel',
} as const;

/** One line for each state that the last audit has corrected, at most 100. */
export function auditLines(engine: Engine): string[] {
  return engine.notes().map(({ why, state }) => `${WORDS[why]}: ${stateLine(readState(engine, state))}`);
}

/** As many lines as fit in `room` bytes, each behind a newline. */
export function packLines(lines: readonly string[], room: number): Buffer {
  let text = '';
  for (const line of lines) {
    if (Buffer.byteLength(text) + Buffer.byteLength(line) + 1 > room) break;
    text += `${line}\n`;
  }
  return Buffer.from(text);
}

/** The lines of the other node. */
export function unpackLines(bytes: Buffer): string[] {
  return bytes.toString('utf8').split('\n').slice(0, -1);
}

import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../contract/message-of.ts';
import { encodeValue } from '../contract/tap-values.ts';
import { clean } from '../contract/text.ts';
import { VERSION } from '../contract/version.ts';
import { isSame, Replay, type ReplayReport, type Step } from '../recording/replay.ts';
import { type Command, CommandError, EXIT } from './command.ts';

/** Steps shown before a difference, and bytes of each. */
const SHOWN = { steps: 12, width: 220 };
/** A longer line is no line of a recording. */
const MOST_LINE = 4 * 1024 * 1024;

const time = (at: number): string => new Date(at).toISOString().slice(11, 23);
const short = (text: string): string => clean(text.length > SHOWN.width ? `${text.slice(0, SHOWN.width)}…` : text);

function told({ at, machine, input, actions }: Step): string {
  const { event, now, context, ...rest } = input as Record<string, unknown>;
  void now;
  void context;
  return `${time(at)} ${machine.padEnd(5)} ${short(encodeValue(event ?? rest))} -> ${short(encodeValue(actions))}`;
}

/** The file's lines in order; `ended`: the line had its end. */
async function* linesOf(path: string): AsyncGenerator<{ text: string; ended: boolean }> {
  const file = createReadStream(path);
  const stream: Readable = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => stream.destroy(error));
  let rest = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    const pieces = (rest + String(chunk)).split('\n');
    rest = pieces.pop() ?? '';
    if (rest.length > MOST_LINE) throw new Error(`a line of more than ${MOST_LINE} bytes`);
    for (const text of pieces) yield { text, ended: true };
  }
  if (rest !== '') yield { text: rest, ended: false };
}

function verdict(report: ReplayReport): string[] {
  const { steps, states, difference, missing, unreplayed, damaged, cut, node, version } = report;
  const counts = Object.entries(steps).map(([machine, n]) => `${machine} ${n}`);
  const lines = [
    `${clean(node ?? 'unknown node')}: ${counts.join(', ')} steps run again, ${states} whole states compared`,
  ];
  if (version !== null && version !== VERSION) lines.push(`recorded by carpio ${clean(version)}, this is ${VERSION}`);
  if (unreplayed > 0)
    lines.push(`${unreplayed} steps could not be run: they stand before the first state of their machine`);
  if (cut) lines.push('the last line has no end: the recording was cut off there');
  for (const { line, reason } of damaged) lines.push(`line ${line} is damaged: ${clean(reason)}`);
  if (missing > 0) lines.push(`${missing} steps are MISSING in the recording: what happened there cannot be replayed`);
  if (difference !== null) {
    const { line, machine, step, at, what } = difference;
    lines.push(`DIFFERENT at ${time(at)}, line ${line}, step ${step} of ${machine} (${what}):`);
    if (difference.input !== '""') lines.push(`  event    ${short(difference.input)}`);
    lines.push(`  recorded ${short(difference.recorded)}`, `  replayed ${short(difference.replayed)}`);
  }
  if (isSame(report)) lines.push('the same actions, step by step');
  else if (difference === null && missing === 0 && damaged.length === 0) lines.push('NOTHING could be replayed');
  return lines;
}

export const command: Command = {
  name: 'replay',
  positionals: ['FILE'],
  options: [
    { name: 'print', help: 'print each step: time, machine, event -> actions' },
    { name: 'json', help: 'print the result as JSON' },
  ],
  details: `
Runs a recording of carpio run --record through the same state machines (election, sync session, early take-over,
unmasking), and compares what they do with what they did. FILE may be compressed (.gz). Needs no running node.
Exit: 0 the same actions, 1 they differ (the first difference is shown with the steps before it), or steps are missing in
the recording, so that nobody can tell.`,
  async run(args, io) {
    const path = args.positionals[0] ?? '';
    const before: string[] = [];
    let toPrint: string[] = [];
    const print = args.options.print === true;
    const replay = new Replay((step) => {
      if (print) toPrint.push(`${told(step)}\n`);
      if (replay.report.difference !== null) return;
      before.push(told(step));
      if (before.length > SHOWN.steps) before.shift();
    });
    try {
      for await (const { text, ended } of linesOf(path)) {
        replay.take(text, ended);
        if (toPrint.length === 0) continue;
        await io.out(toPrint.join(''));
        toPrint = [];
      }
    } catch (error) {
      throw new CommandError(`cannot read ${path}: ${messageOf(error)}`);
    }
    const { report } = replay;
    if (args.options.json === true) await io.out(`${JSON.stringify({ same: isSame(report), ...report }, null, 2)}\n`);
    else {
      const story = report.difference === null ? [] : ['the steps before:', ...before.map((line) => `  ${line}`)];
      await io.out(`${[...verdict(report), ...story].join('\n')}\n`);
    }
    return isSame(report) ? EXIT.done : EXIT.no;
  },
};

/** The texts of `carpio --help` and `carpio help COMMAND`. Pure. */

import { HELP, type OptionSpec } from './args.ts';
import type { Command } from './command.ts';
import { COMMANDS } from './registry.ts';

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}

export function overview(): string {
  const rows = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const);
  return `usage: carpio COMMAND [ARGUMENT...]

Two small boxes, one firewall that does not fail: CARP and state sync.

${columns(rows)}
  carpio help COMMAND says more. Exit: 0 done, 1 the answer is no or it failed, 2 used wrongly.
`;
}

/** Columns of a usage line; what does not fit goes on, indented. */
const USAGE_WIDTH = 110;

function wrap(words: readonly string[]): string {
  const lines = ['usage:'];
  for (const word of words) {
    if (`${lines.at(-1)} ${word}`.length > USAGE_WIDTH) lines.push(`      ${word}`);
    else lines[lines.length - 1] += ` ${word}`;
  }
  return lines.join('\n');
}

const shown = (option: OptionSpec) => `--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`;

export function commandHelp(command: Command): string {
  const options = [...command.options, HELP];
  const usage = [
    'carpio',
    command.name,
    ...command.positionals,
    ...command.options.map((option) => `[${shown(option)}]`),
  ];
  const rows = options.map((option) => [shown(option), option.help] as const);
  return `${wrap(usage)}\n\n${command.details.trim()}\n\n${columns(rows)}`;
}

import type { SysctlResult } from '../contract/control.ts';
import { type Args, printable } from './args.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';
import { findSysctls, SYSCTLS, type SysctlName } from './sysctl-names.ts';

function parseValue({ name, min, max }: SysctlName, text: string): number {
  const value = Number(text);
  if (/^-?[0-9]+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`${name}: found ${printable(text)}, allowed ${min}..${max}`);
}

async function write(args: Args, io: Io, known: SysctlName, text: string): Promise<number> {
  if (!known.writable) {
    io.err(`sysctl: oid '${known.name}' is read only`);
    return EXIT.no;
  }
  const value = parseValue(known, text);
  const result = asObject<SysctlResult>(await askNode(args, 'sysctl', { name: known.name, value: String(value) }));
  await io.out(`${known.name}: ${result.old ?? '?'} -> ${result.value}\n`);
  return EXIT.done;
}

export const command: Command = {
  name: 'sysctl',
  positionals: ['[NAME[=VALUE]]'],
  options: [{ name: 'json', help: 'print names and values as JSON' }, ...SOCKET_OPTIONS],
  details: `
Reads and sets the node by the names that BSD's sysctl has for CARP; without a NAME, or with the beginning of one, all:

${SYSCTLS.map(({ name, writable, meaning }) => `  ${name.padEnd(31)} ${meaning}${writable ? '' : ' (read only)'}\n`).join('')}
What is set is forgotten when the node stops; the configuration is the place for what shall stay.`,
  async run(args, io) {
    const [name, value] = (args.positionals[0] ?? 'net.inet.carp').split(/=(.*)/s);
    const found = findSysctls(name!);
    if (found.length === 0) {
      io.err(`sysctl: unknown oid '${name!.slice(0, 80).replace(/[^ -~]/g, '?')}'`);
      return EXIT.no;
    }
    if (value !== undefined) {
      const exact = found.find((known) => known.name === name);
      if (exact) return write(args, io, exact, value);
      io.err(`sysctl: oid '${name}' isn't a leaf node`);
      return EXIT.no;
    }
    const values: Record<string, number> = {};
    for (const known of found) {
      values[known.name] = asObject<SysctlResult>(await askNode(args, 'sysctl', { name: known.name })).value;
    }
    const lines = Object.entries(values).map(([oid, number]) => `${oid}: ${number}\n`);
    await io.out(args.options.json === true ? `${JSON.stringify(values, null, 2)}\n` : lines.join(''));
    return EXIT.done;
  },
};

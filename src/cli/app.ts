/**
 * From the words on the command line to a command's exit code. Errors are one line on standard error, never a stack
 * trace.
 */

import { nearest } from '../contract/nearest.ts';
import { parseArgs, printable } from './args.ts';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.ts';
import { ControlError } from './control-client.ts';
import { commandHelp, overview } from './help.ts';
import { COMMANDS, type CommandName, isCommand, loadCommand } from './registry.ts';

function unknownCommand(word: string, io: Io): number {
  const near = nearest(word, Object.keys(COMMANDS));
  io.err(`carpio: unknown command ${printable(word)}; ${near ? `did you mean ${near}?` : 'see carpio --help'}`);
  return EXIT.wrong;
}

async function help(word: string | undefined, io: Io): Promise<number> {
  if (word === undefined) await io.out(overview());
  else if (isCommand(word)) await io.out(commandHelp(await loadCommand(word)));
  else return unknownCommand(word, io);
  return EXIT.done;
}

async function runCommand(command: Command, argv: readonly string[], io: Io): Promise<number> {
  const parsed = parseArgs(argv, command);
  if (!parsed.ok) throw new UsageError(parsed.error);
  if (parsed.args.options.help === true) {
    await io.out(commandHelp(command));
    return EXIT.done;
  }
  return await command.run(parsed.args, io);
}

const oneLine = (text: string) => text.split(/[\r\n]/)[0] ?? '';

function explain(name: CommandName, error: unknown, io: Io): number {
  if (error instanceof UsageError) {
    io.err(`carpio ${name}: ${oneLine(error.message)} (carpio help ${name})`);
    return EXIT.wrong;
  }
  if (error instanceof CommandError || error instanceof ControlError) {
    io.err(`carpio ${name}: ${oneLine(error.message)}`);
    return EXIT.no;
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  io.err(`carpio ${name}: failed in a way that it should not: ${oneLine(message)}; please report this`);
  return EXIT.no;
}

/** @param argv without the program's own name. Never throws; returns the exit code. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const [word, ...rest] = argv;
  if (word === undefined) {
    io.err('carpio: which command? see carpio --help');
    return EXIT.wrong;
  }
  if (word === '--help' || word === '-h' || word === 'help') return help(rest[0], io);
  const name = word === '--version' || word === '-V' ? 'version' : word;
  if (!isCommand(name)) {
    if (!name.startsWith('-')) return unknownCommand(name, io);
    io.err(`carpio: the command comes first, as in carpio status ${printable(name)}`);
    return EXIT.wrong;
  }
  try {
    return await runCommand(await loadCommand(name), rest, io);
  } catch (error) {
    return explain(name, error, io);
  }
}

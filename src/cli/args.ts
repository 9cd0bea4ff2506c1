/**
 * Command-line arguments by a table of what a command takes. Pure. No abbreviations and no guessing: an argument that
 * is not understood must not become another one.
 */

import { nearest } from '../contract/nearest.ts';

export interface OptionSpec {
  /** Without the dashes. */
  name: string;
  /** Name of the value in the help; left out for a switch. */
  value?: string;
  /** One line for the help. */
  help: string;
  /** The only values allowed. */
  choices?: readonly string[];
}

export interface ArgsSpec {
  options: readonly OptionSpec[];
  /** Names for messages; a name in brackets, `[NAME]`, may be left out. */
  positionals: readonly string[];
}

export interface Args {
  options: Readonly<Record<string, string | true>>;
  positionals: readonly string[];
}

type ArgsResult = { ok: true; args: Args } | { ok: false; error: string };

export const HELP: OptionSpec = { name: 'help', help: 'say what this command does and takes' };

class ArgsParser {
  readonly #spec: ArgsSpec;
  readonly #rest: string[];
  readonly #options: Record<string, string | true> = Object.create(null);
  readonly #positionals: string[] = [];

  constructor(argv: readonly string[], spec: ArgsSpec) {
    this.#rest = [...argv];
    this.#spec = spec;
  }

  /** @throws string what is wrong */
  parse(): Args {
    let onlyPositionals = false;
    for (let arg = this.#rest.shift(); arg !== undefined; arg = this.#rest.shift()) {
      // A negative number is a value (demote -10), not an option.
      const isOption = arg.startsWith('-') && arg !== '-' && !/^-[0-9]+$/.test(arg);
      if (onlyPositionals || !isOption) this.#positionals.push(arg);
      else if (arg === '--') onlyPositionals = true;
      else this.#option(arg === '-h' ? '--help' : arg);
    }
    // Help is asked for most when something else is wrong, so it goes first.
    if (this.#options.help !== true) this.#count();
    return { options: this.#options, positionals: this.#positionals };
  }

  #option(arg: string): void {
    const [, name = '', , inline] = /^--([^=]*)(=(.*))?$/s.exec(arg) ?? [];
    const known = [...this.#spec.options, HELP];
    const spec = known.find((option) => option.name === name);
    if (!spec) {
      const names = known.map((option) => option.name);
      const near = nearest(name || arg.replace(/^-+/, ''), names);
      throw `unknown option ${printable(arg)}${near ? `; did you mean --${near}?` : ''}`;
    }
    if (this.#options[name] !== undefined) throw `--${name} is given twice`;
    if (spec.value === undefined) {
      if (inline !== undefined) throw `--${name} takes no value`;
      this.#options[name] = true;
      return;
    }
    const value = inline ?? this.#rest.shift();
    if (value === undefined || value === '') throw `--${name} needs a value: --${name} ${spec.value}`;
    if (spec.choices && !spec.choices.includes(value)) {
      throw `--${name}: found ${printable(value)}, allowed ${spec.choices.join(', ')}`;
    }
    this.#options[name] = value;
  }

  #count(): void {
    const names = this.#spec.positionals;
    const needed = names.filter((name) => !name.startsWith('['));
    const have = this.#positionals.length;
    if (have < needed.length) throw `${needed[have]} is missing`;
    if (have > names.length) throw `${printable(this.#positionals[names.length]!)} is one argument too many`;
  }
}

/** An argument in a message: bounded and on one line. */
export function printable(arg: string): string {
  return JSON.stringify(arg.length > 60 ? `${arg.slice(0, 60)}…` : arg);
}

export function parseArgs(argv: readonly string[], spec: ArgsSpec): ArgsResult {
  try {
    return { ok: true, args: new ArgsParser(argv, spec).parse() };
  } catch (error) {
    if (typeof error === 'string') return { ok: false, error };
    throw error;
  }
}

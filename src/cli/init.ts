import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { formatError } from '../config/problem.ts';
import { configText } from '../import/init/config-text.ts';
import { interview, missing } from '../import/init/interview.ts';
import { type Answers, KEYS, makePlan, type Plan } from '../import/init/plan.ts';
import { rulesText } from '../import/init/rules-text.ts';
import type { Args } from './args.ts';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.ts';
import { makeDirectory, refuseExisting, writeNew } from './import.ts';
import { terminal } from './terminal.ts';

const DEFAULT_DIR = '/etc/carpio';
/** Bytes of a new pair key; CARP's password is 15 bytes as 20 characters of base64, less one for ifconfig and ucarp. */
const KEY_BYTES = 32;
const PASSWORD_CHARACTERS = 19;

interface Files {
  toml: string;
  rules: string;
  password: string;
  key: string;
}

function filesIn(directory: string): Files {
  const file = (name: string) => join(directory, name);
  return {
    toml: file('carpio.toml'),
    rules: file('rules.nft'),
    password: file('carp.password'),
    key: file('pair.key'),
  };
}

function given({ options }: Args): Answers {
  const answers: Answers = {};
  for (const key of KEYS) {
    const value = options[key];
    if (typeof value === 'string') answers[key] = value;
  }
  return answers;
}

async function answersFor(args: Args, io: Io): Promise<Answers> {
  const answers = given(args);
  const lacking = missing(answers);
  if (lacking.length === 0) return answers;
  if (process.stdin.isTTY !== true)
    throw new UsageError(`there is no terminal to ask at; missing: ${lacking.join(' ')}`);
  const { ask, close } = terminal();
  try {
    const asked = await interview(answers, ask, (line) => io.err(line));
    if (!asked) throw new CommandError('no answers, so nothing was written');
    return asked;
  } finally {
    close();
  }
}

/** The secrets are made here when they are not there; those of the other box, copied here before, are kept. */
function writeAll(plan: Plan, files: Files, newKey: boolean): string[] {
  refuseExisting([files.toml, files.rules, ...(newKey ? [files.key] : [])]);
  const said: string[] = [];
  if (newKey) {
    writeNew(files.key, `${randomBytes(KEY_BYTES).toString('hex')}\n`, { readers: 'account' });
    said.push(`made ${files.key}: copy it to the other box`);
  }
  if (existsSync(files.password)) said.push(`used ${files.password}, which was there`);
  else {
    const password = randomBytes(KEY_BYTES).toString('base64url').slice(0, PASSWORD_CHARACTERS);
    writeNew(files.password, `${password}\n`, { readers: 'account' });
    said.push(`made ${files.password}: copy it to the other box`);
  }
  const key = existsSync(files.key) ? files.key : null;
  if (key !== null && !newKey) said.push(`used ${files.key}, which was there`);
  if (key === null)
    said.push('no pair key: state sync is open or off; make one with --new-key, or copy that of the other box');
  writeNew(files.rules, rulesText(plan), { readers: 'group', mode: 0o644 });
  writeNew(files.toml, configText(plan, { rules: files.rules, password: files.password, key }), { readers: 'group' });
  return [...said, `wrote ${files.toml} and ${files.rules}`];
}

export const command: Command = {
  name: 'init',
  positionals: [],
  options: [
    { name: 'dir', value: 'DIR', help: `where to write (default ${DEFAULT_DIR})` },
    { name: 'name', value: 'NAME', help: "this node's name" },
    { name: 'wan', value: 'DEVICE', help: 'device towards the internet' },
    { name: 'lan', value: 'DEVICE', help: 'device towards your network' },
    { name: 'sync', value: 'DEVICE', help: 'device of the cable to the other box' },
    { name: 'wan-vip', value: 'ADDRESS/PREFIX,...', help: 'shared addresses on the internet side' },
    { name: 'lan-vip', value: 'ADDRESS/PREFIX,...', help: 'shared addresses on the inner side' },
    { name: 'peer', value: 'ADDRESS', help: "the other box's own address on the sync link" },
    { name: 'advskew', value: 'N', help: '0 on the box that shall be master (default), 100 on the other' },
    { name: 'new-key', help: "make the pair's key, pair.key; on the first box only" },
  ],
  details: `
Writes a commented carpio.toml and working rules (rules.nft) for a gateway with NAT between two interfaces, with or without a
third for the cable between the boxes. What the options leave out is asked at a terminal. Nothing is ever overwritten.
carp.password is made when it is not there. On the second box copy carp.password and pair.key into DIR first.`,
  async run(args, io) {
    const { dir, 'new-key': newKey } = args.options;
    const files = filesIn(resolve(typeof dir === 'string' ? dir : DEFAULT_DIR));
    refuseExisting([files.toml, files.rules]);
    const made = makePlan(await answersFor(args, io));
    if (!made.ok) throw new UsageError(`--${made.key}: ${made.error}`);
    makeDirectory(resolve(files.toml, '..'));
    const said = writeAll(made.plan, files, newKey === true);
    await io.out(said.map((line) => `${line}\n`).join(''));
    const loaded = loadConfig(files.toml);
    for (const problem of [...loaded.warnings, ...(loaded.ok ? [] : loaded.errors)]) io.err(formatError(problem));
    if (!loaded.ok) throw new CommandError(`${files.toml} does not pass its own checks; see above`);
    await io.out(`next: carpio check --config ${files.toml}\n`);
    return EXIT.done;
  },
};

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { CODE_ENTROPY, makeCode, readCode } from '../channel/pairing/code.ts';
import { joinPair } from '../channel/pairing/join.ts';
import { fingerprint, newKey, unwritable, writeKey } from '../channel/pairing/key-file.ts';
import { offerKey } from '../channel/pairing/offer.ts';
import {
  chooseListen,
  DEFAULT_KEY_FILE,
  mayPair,
  type PairSettings,
  readSettings,
} from '../channel/pairing/settings.ts';
import { PAIR_PORT } from '../channel/pairing/tls.ts';
import { DEFAULT_CONFIG } from '../config/default-paths.ts';
import { readKey } from '../config/secret-files.ts';
import { clean } from '../contract/text.ts';
import { parseAddress } from '../net/cidr.ts';
import { type Args, printable } from './args.ts';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.ts';
import { terminal } from './terminal.ts';

const DEFAULT_SECONDS = 600;
const MODES = ['join', 'file', 'fingerprint', 'keep'] as const;

interface Plan extends PairSettings {
  force: boolean;
  keep: boolean;
  port: number;
  seconds: number;
}

function number(args: Args, name: string, fallback: number, min: number, max: number): number {
  const given = args.options[name];
  if (typeof given !== 'string') return fallback;
  const value = /^[0-9]{1,5}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name}: found ${printable(given)}, allowed ${min}..${max}`);
}

function makePlan(args: Args): Plan {
  const { options } = args;
  const chosen = MODES.filter((mode) => options[mode] === true);
  if (chosen.length > 1) throw new UsageError(`--${chosen.join(' and --')} do not go together`);
  const config = options.config;
  const named = typeof config === 'string';
  const settings = attempt(() => readSettings(named ? config : DEFAULT_CONFIG, named, hostname()));
  const keyFile = options['key-file'];
  if (typeof keyFile === 'string' && !keyFile.startsWith('/')) {
    throw new UsageError(`--key-file: found ${printable(keyFile)}, allowed an absolute path`);
  }
  const peer = options.peer;
  if (typeof peer === 'string' && parseAddress(peer) === null) {
    throw new UsageError(`--peer: found ${printable(peer)}, allowed one address`);
  }
  return {
    ...settings,
    keyFile: typeof keyFile === 'string' ? keyFile : settings.keyFile,
    peer: typeof peer === 'string' ? peer : settings.peer,
    force: options.force === true,
    keep: options.keep === true,
    port: number(args, 'port', PAIR_PORT, 1, 65_535),
    seconds: number(args, 'timeout', DEFAULT_SECONDS, 5, 3600),
  };
}

function attempt<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

/** The key that is there. @throws CommandError */
function existing(path: string): Buffer {
  const read = readKey(path);
  if (!read.ok) throw new CommandError(read.error);
  return read.secret.reveal();
}

function refuseToOverwrite({ keyFile, force }: Plan): void {
  const trouble = unwritable(keyFile);
  if (trouble !== null) throw new CommandError(trouble);
  if (!force && existsSync(keyFile)) {
    throw new CommandError(
      `${keyFile} is there already; --keep hands that key over, --force makes a new one in its place`,
    );
  }
}

/** What is still to do once both have the key. */
function afterwards(plan: Plan): string {
  const name = plan.keyNamed ? '' : `put key_file = "${plan.keyFile}" into [sync] of carpio.toml on both; `;
  const reload = 'if carpio runs, tell it on one box, then on the other: systemctl reload carpio';
  return `next: ${name}${reload}\n(a first key counts from the next start; another one from the reload, without a break)\n`;
}

const compare = (print: string): string => `fingerprint of the key: ${print} (the other box must show the same)\n`;

function listenAddress({ device, peer }: Plan): string {
  if (device === null) {
    throw new CommandError('no sync interface: name a configuration with [interfaces] sync and [sync] (--config)');
  }
  const own = (networkInterfaces()[device] ?? []).flatMap(({ cidr, address }) =>
    cidr === null || address.startsWith('fe80:') ? [] : [cidr],
  );
  const listen = chooseListen(own, peer);
  if (listen !== null) return listen;
  const found = own.length === 0 ? 'has no address' : `has ${own.join(' ')}, none in a subnet of the peer's ${peer}`;
  throw new CommandError(`the sync interface ${device} ${found}; bring it up with the box's own address first`);
}

async function offer(plan: Plan, io: Io): Promise<number> {
  if (!plan.keep) refuseToOverwrite(plan);
  const key = plan.keep ? existing(plan.keyFile) : newKey();
  const listen = listenAddress(plan);
  const host = listen.split('/')[0] ?? '';
  const code = makeCode(randomBytes(CODE_ENTROPY));
  await io.out(`${code}

On the other box, within ${Math.round(plan.seconds / 60)} min:  carpio pair --join${plan.peer === null ? ` --peer ${host}` : ''}
and type that code. Waiting on ${host} (${plan.device}), port ${plan.port} …
`);
  const result = await offerKey({
    code,
    key,
    node: plan.node,
    host,
    port: plan.port,
    allowed: mayPair(listen, plan.peer),
    withinMs: plan.seconds * 1000,
    say: (line) => io.err(`carpio pair: ${clean(line)}`),
  });
  const { refused } = result.counts;
  if (refused > 0) io.err(`carpio pair: ${refused} connections refused that made no guess, or not from the peer`);
  if (!result.ok) throw new CommandError(`${result.error}; no key was written here`);
  if (!plan.keep) attempt(() => writeKey(plan.keyFile, key, plan.force));
  const done = plan.keep ? `handed ${plan.keyFile} over to` : `wrote ${plan.keyFile}, the same as on`;
  await io.out(`${done} ${clean(result.peer)}\n${compare(fingerprint(key))}${afterwards(plan)}`);
  return EXIT.done;
}

async function askCode(): Promise<string> {
  const { ask, close } = terminal();
  try {
    for (let tries = 0; tries < 5; tries++) {
      const line = await ask(process.stdin.isTTY === true ? 'code: ' : '');
      if (line === null) throw new CommandError('no code on standard input');
      const read = readCode(line);
      if (read.ok) return read.code;
      if (process.stdin.isTTY !== true) throw new CommandError(read.error);
      process.stderr.write(`${read.error}\n`);
    }
    throw new CommandError('no code');
  } finally {
    close();
  }
}

async function join(plan: Plan, io: Io): Promise<number> {
  const { peer, keyFile } = plan;
  if (peer === null) throw new CommandError("the other box's address is not known: --peer ADDRESS, as it shows there");
  const trouble = unwritable(keyFile);
  if (trouble !== null) throw new CommandError(trouble);
  const store = (key: Buffer): string => {
    // A second try after a cut connection finds its own key, which is no other one.
    const same = existsSync(keyFile) && existing(keyFile).equals(key);
    if (!same) writeKey(keyFile, key, plan.force);
    return fingerprint(key);
  };
  const result = await joinPair({ code: await askCode(), node: plan.node, host: peer, port: plan.port, store });
  if (!result.ok) throw new CommandError(clean(result.error));
  await io.out(`wrote ${keyFile}, the key of ${clean(result.peer)}\n${compare(result.fingerprint)}${afterwards(plan)}`);
  return EXIT.done;
}

async function makeFile(plan: Plan, io: Io): Promise<number> {
  refuseToOverwrite(plan);
  const key = newKey();
  attempt(() => writeKey(plan.keyFile, key, plan.force));
  await io.out(`wrote ${plan.keyFile}; copy it to the other box, by a stick or over the cable, never by mail:
  scp -p ${plan.keyFile} root@${plan.peer ?? 'OTHER-BOX'}:${plan.keyFile}
there \`carpio pair --fingerprint\` must show the same:
${fingerprint(key)}
${afterwards(plan)}`);
  return EXIT.done;
}

export const command: Command = {
  name: 'pair',
  positionals: [],
  options: [
    { name: 'join', help: 'on the second box: asks for the code (or reads it from standard input) and takes the key' },
    { name: 'file', help: 'make only the file, to be copied by hand' },
    { name: 'keep', help: 'hand over the key that is there, to a box that was replaced' },
    { name: 'fingerprint', help: 'show the fingerprint of the key that is there' },
    { name: 'force', help: 'replace a key that is there' },
    { name: 'peer', value: 'ADDRESS', help: "the other box's address on the sync link (default: [sync] peer)" },
    { name: 'key-file', value: 'PATH', help: `the key's file (default: [sync] key_file, else ${DEFAULT_KEY_FILE})` },
    { name: 'config', value: 'FILE', help: `configuration (default ${DEFAULT_CONFIG})` },
    {
      name: 'timeout',
      value: 'SECONDS',
      help: `how long to wait for the other box, 5..3600 (default ${DEFAULT_SECONDS})`,
    },
    { name: 'port', value: 'N', help: `TCP port on the sync link (default ${PAIR_PORT})` },
  ],
  details: `
Makes the pair's key and brings it to both boxes. On the first box \`carpio pair\` prints a one-time code and waits on the sync
link; on the second \`carpio pair --join\` asks for that code and takes the key, through TLS that only who knows the code can
speak. The code is good for one pairing, 10 minutes and 5 attempts. Each box then has the key in a file that root alone reads
(mode 0600), and shows the key's fingerprint: they must be the same. Neither key nor code is ever on a command line. carpio
run need not be running. A key that is there is never replaced without --force. A pair that runs goes over to another key without
a break: carpio pair --force on one box, carpio pair --join --force on the other, then systemctl reload carpio on both.`,
  async run(args, io) {
    const plan = makePlan(args);
    if (args.options.fingerprint === true) {
      await io.out(`${fingerprint(existing(plan.keyFile))}\n`);
      return EXIT.done;
    }
    if (args.options.join === true) return join(plan, io);
    return args.options.file === true ? makeFile(plan, io) : offer(plan, io);
  },
};

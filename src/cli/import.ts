import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Readers, writeWhole } from '../config/file-owner.ts';
import { fileTrouble } from '../config/secret-files.ts';
import { countsText, type ImportResult, importConfig } from '../import/import.ts';
import { reportLines } from '../import/report-text.ts';
import { type ImportKind, type ImportOptions, KINDS } from '../import/result.ts';
import { isDevice, isNodeName, isRole } from '../import/roles.ts';
import { type Args, printable } from './args.ts';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.ts';

/** Largest input, in bytes; a config.xml with certificates and graphs is a few MB. */
const MAX_FILE = 16 << 20;
const DEFAULT_DIR = '/etc/carpio';

type Imported = Extract<ImportResult, { ok: true }>;

function readInput(path: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new CommandError(`cannot read ${path}: it is not a regular file`);
    if (stat.size > MAX_FILE) throw new CommandError(`${path}: found ${stat.size} bytes, allowed at most ${MAX_FILE}`);
    const bytes = readFileSync(fd);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return bytes.toString('latin1');
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot read ${path}: ${fileTrouble(error)}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** `wan=eth0,lan=eth1`. @throws UsageError */
function readDevices(text: string): Map<string, string> {
  const devices = new Map<string, string>();
  for (const pair of text.split(',')) {
    const [role = '', device = '', ...more] = pair.split('=');
    if (more.length > 0 || !isRole(role) || !isDevice(device)) {
      throw new UsageError(`--devices: found ${printable(pair)}, allowed ROLE=DEVICE pairs, as in wan=eth0,lan=eth1`);
    }
    if (devices.has(role) || [...devices.values()].includes(device)) {
      throw new UsageError(`--devices: ${printable(pair)} names a role or device for the second time`);
    }
    devices.set(role, device);
  }
  return devices;
}

function readOptions({ options }: Args): ImportOptions {
  const { name, devices } = options;
  if (typeof name === 'string' && !isNodeName(name)) {
    throw new UsageError(`--name: found ${printable(name)}, allowed 1 to 63 letters, digits, ".", "_" or "-"`);
  }
  return {
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof devices === 'string' ? { devices: readDevices(devices) } : {}),
  };
}

/** Writes a file that is not there yet. @throws CommandError */
export function writeNew(path: string, text: string, options: { readers: Readers; mode?: number }): void {
  try {
    writeWhole(path, text, options);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new CommandError(
      `cannot write ${path}: ${exists ? 'it exists, and is never overwritten' : fileTrouble(error)}`,
    );
  }
}

/** Says no before anything is written, so that not half of the files is there. @throws CommandError */
export function refuseExisting(paths: readonly string[]): void {
  const found = paths.find((path) => existsSync(path));
  if (found)
    throw new CommandError(`${found} exists, and is never overwritten; name another directory, or move it away`);
}

export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new CommandError(`cannot make ${path}: ${fileTrouble(error)}`);
  }
}

function writeOutput(directory: string, imported: Imported): string[] {
  const toml = join(directory, 'carpio.toml');
  const rules = join(directory, 'rules.nft');
  const paths = imported.nft === null ? [toml] : [toml, rules];
  refuseExisting(paths);
  makeDirectory(directory);
  if (imported.nft !== null) writeNew(rules, imported.nft, { readers: 'group', mode: 0o644 });
  writeNew(toml, imported.toml({ secrets: true, rulesPath: rules }), { readers: 'group' });
  return paths;
}

async function printOutput(imported: Imported, io: Io): Promise<void> {
  await io.out(imported.toml({ secrets: false, rulesPath: join(DEFAULT_DIR, 'rules.nft') }));
  if (imported.nft !== null) await io.out(`\n# ---- rules.nft ----\n${imported.nft}`);
  for (const line of reportLines(imported.report)) io.err(line);
}

export const command: Command = {
  name: 'import',
  positionals: ['pfsense|keepalived|conntrackd', 'FILE'],
  options: [
    { name: 'output', value: 'DIR', help: 'write carpio.toml and rules.nft there; left out: print them' },
    { name: 'name', value: 'NAME', help: "this node's name (default: the file's, else fw-a)" },
    { name: 'devices', value: 'ROLE=DEVICE,...', help: 'devices of this box, as in wan=eth0,lan=eth1' },
    { name: 'conntrackd', value: 'FILE', help: 'with keepalived: its conntrackd.conf, for [sync] of the same file' },
    { name: 'strict', help: 'exit 1 when anything was left out' },
    { name: 'json', help: 'print the report as JSON (with --output)' },
  ],
  details: `
Turns another product's configuration into Carpio's: config.xml of pfSense or OPNsense (also with rules and NAT for nftables),
keepalived.conf (and conntrackd.conf beside it with --conntrackd), conntrackd.conf. Every element of the file is in the
report: translated, approximated (with what differs), not needed, or left out (with the reason). Files are never overwritten;
carpio.toml is made with mode 600 (0640 for the group of the service), for it may hold passwords. Without --output the files
go to standard output, without passwords, and the report to standard error.`,
  async run(args, io) {
    const [kind = '', file = ''] = args.positionals;
    if (!(KINDS as readonly string[]).includes(kind)) {
      throw new UsageError(`found ${printable(kind)}, allowed ${KINDS.join(', ')}`);
    }
    const { output, strict, json } = args.options;
    if (json === true && output === undefined)
      throw new UsageError('--json needs --output: the files are printed without it');
    const { conntrackd } = args.options;
    if (conntrackd !== undefined && kind !== 'keepalived') throw new UsageError('--conntrackd goes with keepalived');
    const options: ImportOptions = {
      ...readOptions(args),
      ...(typeof conntrackd === 'string' ? { conntrackd: { text: readInput(conntrackd), file: conntrackd } } : {}),
    };
    const imported = importConfig(kind as ImportKind, readInput(file), file, options);
    if (!imported.ok) throw new CommandError(imported.error);
    const { report } = imported;
    if (typeof output !== 'string') await printOutput(imported, io);
    else {
      const paths = writeOutput(resolve(output), imported);
      if (json === true) await io.out(`${JSON.stringify({ ...report, files: paths }, null, 2)}\n`);
      else await io.out([...reportLines(report), `written: ${paths.join(', ')}`].map((line) => `${line}\n`).join(''));
    }
    if (strict !== true || report.counts.left_out === 0) return EXIT.done;
    io.err(`carpio import: --strict: ${countsText(report)}`);
    return EXIT.no;
  },
};

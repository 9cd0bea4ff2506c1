import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Box, type BoxResult } from '../box/apply.ts';
import { type PortFacts, reportText, writeReport } from '../box/report.ts';
import { accountIn } from '../config/file-owner.ts';
import type { NodeStatus } from '../contract/status.ts';
import { VERSION } from '../contract/version.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

/** Where the start of an image mounts the FAT partitions, each in a folder of its own. */
const STICKS = '/run/carpio-box/stick';
const SERVICE_ACCOUNT = 'carpio';

function networkPorts(): PortFacts[] {
  const folder = '/sys/class/net';
  const names = readdirSync(folder).filter((name) => existsSync(`${folder}/${name}/device`));
  return names
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((name) => {
      const driver = `${folder}/${name}/device/driver`;
      return {
        name,
        mac: readFileSync(`${folder}/${name}/address`, 'utf8').trim(),
        driver: existsSync(driver) ? basename(realpathSync(driver)) : '-',
      };
    });
}

async function apply(io: Io, sticks: readonly string[]): Promise<number> {
  const writable = (stick: string) => {
    spawnSync('mount', ['-o', 'remount,rw', stick]);
  };
  const account = accountIn(readFileSync('/etc/passwd', 'utf8'), { name: SERVICE_ACCOUNT });
  const result: BoxResult = new Box({ root: '', account, writable }).apply(sticks);
  writeFileSync('/proc/sys/kernel/hostname', readFileSync('/etc/hostname'));
  await io.out([`Carpio ${VERSION}`, ...result.lines].map((line) => `${line}\n`).join(''));
  const text = reportText(VERSION, networkPorts(), result.lines);
  for (const stick of sticks) {
    try {
      writeReport(stick, text, writable);
    } catch (error) {
      io.err(`${stick}: no report written: ${(error as Error).message}`);
    }
  }
  return EXIT.done;
}

export const command: Command = {
  name: 'box',
  positionals: ['apply|healthy'],
  options: [...SOCKET_OPTIONS],
  details: `
For Carpio's own images, whose start calls it; not for a normal Debian.
apply: takes over what is new on the FAT partitions under ${STICKS}, all of it or nothing, writes the
host's network, name and login, and a report on each stick. Without a configuration: safe mode.
healthy: exit 0 when the node answers and no virtual address is in INIT, else 1. An upgrade that is not healthy within three
minutes is taken back.`,
  async run(args, io) {
    const word = args.positionals[0]!;
    if (word === 'apply') return apply(io, existsSync(STICKS) ? ownFirst(readdirSync(STICKS)) : []);
    if (word !== 'healthy') throw new UsageError(`found ${JSON.stringify(word)}, allowed apply or healthy`);
    const status = asObject<NodeStatus>(await askNode(args, 'status', {}));
    return status.carp.vips.every((vip) => vip.state !== 'INIT') ? EXIT.done : EXIT.no;
  },
};

/** The box's own partition is mounted as "0", so it sorts first. */
const ownFirst = (names: readonly string[]) => [...names].sort().map((name) => `${STICKS}/${name}`);

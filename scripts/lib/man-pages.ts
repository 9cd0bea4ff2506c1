/** The two manual pages as text: carpio(8) and carpio.toml(5). */
import { readFileSync } from 'node:fs';
import { commandHelp } from '../../src/cli/help.ts';
import { COMMANDS, type CommandName, loadCommand } from '../../src/cli/registry.ts';
import { commandPage, markdownPage } from './man-text.ts';

const INTRO = `Two small Linux boxes act as one firewall that does not fail: virtual IP addresses by CARP, connection states mirrored
into the other kernel and proven equal, one configuration for both.
.PP
Exit status: 0 done, 1 the answer is no or it failed, 2 used wrongly. Commands that talk to the running node use its control
socket, /run/carpio/control.sock, whose group may use it.
.SH FILES
/etc/carpio/carpio.toml, see \\fBcarpio.toml\\fR(5); /var/lib/carpio; /run/carpio/control.sock
`;

/** @param root the checkout @returns file name -> roff */
export async function manPages(root: string, version: string, date: string): Promise<Record<string, string>> {
  const commands = await Promise.all(
    (Object.keys(COMMANDS) as CommandName[]).map(async (name) => ({
      name,
      help: commandHelp(await loadCommand(name)),
    })),
  );
  const carpio = {
    name: 'carpio',
    section: 8,
    summary: 'two Linux boxes, one firewall that does not fail',
    version,
    date,
  };
  const toml = { name: 'carpio.toml', section: 5, summary: 'configuration of carpio', version, date };
  return {
    'carpio.8': commandPage(carpio, INTRO, commands),
    'carpio.toml.5': markdownPage(toml, readFileSync(`${root}/docs/configuration.md`, 'utf8')),
  };
}

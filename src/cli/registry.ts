/**
 * The commands. Each is loaded when it is called, so that `carpio status` starts without what `carpio run` needs.
 */

import type { Command } from './command.ts';
import type { Described } from './completion/scripts.ts';

type Loader = () => Promise<{ command: Command }>;

export const COMMANDS = {
  run: { summary: 'run the node in the foreground', load: () => import('./run.ts') },
  check: {
    summary: 'is everything here that Carpio needs, is the configuration sound',
    load: () => import('./check.ts'),
  },
  status: { summary: 'this node and its peer at a glance', load: () => import('./status.ts') },
  states: { summary: 'the state table', load: () => import('./states.ts') },
  verify: { summary: 'prove that both nodes hold the same states', load: () => import('./verify.ts') },
  resync: { summary: 'compare with the peer and repair now', load: () => import('./resync.ts') },
  replicate: {
    summary: 'rules and virtual IPs the same on both nodes: plan, push, status',
    load: () => import('./replicate.ts'),
  },
  demote: { summary: 'lower this node in the election', load: () => import('./demote.ts') },
  undemote: { summary: 'take a demotion back', load: () => import('./undemote.ts') },
  maintenance: { summary: 'planned hand-over to the peer, and back', load: () => import('./maintenance.ts') },
  ifconfig: { summary: "the virtual interfaces in the words of BSD's ifconfig", load: () => import('./ifconfig.ts') },
  monitor: { summary: 'live view of a node, from any machine', load: () => import('./monitor.ts') },
  sysctl: { summary: 'the BSD names: net.inet.carp.*', load: () => import('./sysctl.ts') },
  init: { summary: 'write a first configuration and rules for a gateway', load: () => import('./init.ts') },
  import: { summary: "another product's configuration as Carpio's", load: () => import('./import.ts') },
  pair: { summary: "make the pair's key and bring it to the other box", load: () => import('./pair.ts') },
  pfsync: { summary: 'print the pfsync frames of a capture', load: () => import('./pfsync.ts') },
  replay: { summary: 'run a recording through the same state machines', load: () => import('./replay.ts') },
  upgrade: {
    summary: "write a new system into the other slot of Carpio's own image",
    load: () => import('./upgrade.ts'),
  },
  box: { summary: "for the start of Carpio's own images", load: () => import('./box.ts') },
  completion: {
    summary: 'completion script for bash, zsh or fish',
    load: async () => ({ command: (await import('./completion.ts')).completionCommand(describeCommands) }),
  },
  version: { summary: 'version, build, runtime', load: () => import('./version.ts') },
} as const satisfies Record<string, { summary: string; load: Loader }>;

export type CommandName = keyof typeof COMMANDS;

export function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

export async function loadCommand(name: CommandName): Promise<Command> {
  return (await COMMANDS[name].load()).command;
}

/** All commands with what they take, for help that covers the whole program. */
export async function describeCommands(): Promise<Described[]> {
  const names = Object.keys(COMMANDS).filter(isCommand);
  return Promise.all(
    names.map(async (name) => ({ command: await loadCommand(name), summary: COMMANDS[name].summary })),
  );
}

import { DEFAULT_CONFIG } from '../config/default-paths.ts';
import { formatError } from '../config/problem.ts';
import type { Config } from '../config/types.ts';
import { clean } from '../contract/text.ts';
import { gatherFacts } from './check/facts.ts';
import { error, type Finding, type Level, ok, warning } from './check/finding.ts';
import { applyFixes, type Fixed } from './check/fix.ts';
import { checkBridges, checkInterfaces, checkSync, checkVips } from './check/network.ts';
import { askRunningNode, checkNode } from './check/node.ts';
import {
  checkBuffers,
  checkClock,
  checkConntrack,
  checkDrops,
  checkFiles,
  checkForwarding,
  checkKernel,
  checkNft,
  checkPrivileges,
  checkProbes,
  checkRivals,
} from './check/system.ts';
import type { SystemFacts } from './check/system-facts.ts';
import { type Command, EXIT } from './command.ts';
import { type Paint, painter } from './text.ts';

function checkConfig(facts: SystemFacts): Finding[] {
  const { config: result, configPath } = facts;
  if (!facts.configNamed) {
    const mend = 'write one, or name one with --config; docs/configuration.md says what it holds';
    return [warning('configuration', `${configPath}: no such file, so only the machine was looked at`, mend)];
  }
  // What is wrong with the mode of a file has a line of its own.
  const about = (message: string) => facts.files.some(({ path }) => message.endsWith(`chmod 600 ${path}`));
  const told = result.warnings.filter(({ message }) => !about(message));
  const warnings = told.map((problem) => warning('configuration', formatError(problem), null));
  if (!result.ok)
    return [...result.errors.map((problem) => error('configuration', formatError(problem), null)), ...warnings];
  const { vip, interfaces } = result.config;
  const text = `${configPath}: ${vip.length} vhids, ${Object.keys(interfaces).length} interfaces`;
  return [ok('configuration', text), ...warnings];
}

const againstConfig = (facts: SystemFacts, config: Config): Finding[] => [
  ...checkInterfaces(facts, config),
  ...checkBridges(facts, config),
  ...checkVips(facts, config),
  ...checkSync(facts, config),
];

/** All checks, in the order in which they are mended. */
export function checkAll(facts: SystemFacts): Finding[] {
  const config = facts.config.ok ? facts.config.config : null;
  return [
    ...checkPrivileges(facts),
    ...checkKernel(facts),
    ...checkProbes(facts),
    ...checkConntrack(facts, config),
    ...checkNft(facts),
    ...checkDrops(facts),
    ...checkForwarding(facts, config),
    ...checkBuffers(facts, config),
    ...checkClock(facts),
    ...checkRivals(facts),
    ...checkConfig(facts),
    ...checkFiles(facts),
    ...(config ? againstConfig(facts, config) : []),
    ...(config && facts.node ? checkNode(facts.node, config) : []),
  ];
}

const STYLES = { ok: 'green', warning: 'yellow', error: 'red' } as const satisfies Record<Level, string>;

const howMany = (findings: readonly Finding[], level: Level) =>
  findings.filter((finding) => finding.level === level).length;

/** The answer in one sentence. */
function verdict(findings: readonly Finding[]): string {
  const [errors, warnings] = [howMany(findings, 'error'), howMany(findings, 'warning')];
  const answer = errors > 0 ? 'not possible yet' : 'possible';
  return `CARP and state sync are ${answer} here: ${errors} errors, ${warnings} warnings`;
}

function renderFixed(fixed: readonly Fixed[], asked: boolean): string {
  if (!asked) return '';
  if (fixed.length === 0) return 'nothing here that --fix may mend\n\n';
  return `${fixed.map(({ done, text }) => `${done ? 'mended ' : 'not mended'}  ${clean(text)}\n`).join('')}\n`;
}

export function renderFindings(findings: readonly Finding[], paint: Paint): string {
  const width = Math.max(...findings.map(({ topic }) => topic.length));
  const lines = findings.map(({ level, topic, found, mend }) => {
    const line = `${paint(STYLES[level], level.padEnd(7))}  ${topic.padEnd(width)}  ${clean(found)}`;
    return mend === null ? line : `${line}\n${' '.repeat(11 + width)}mend: ${clean(mend)}`;
  });
  lines.push('', verdict(findings));
  return lines.map((line) => `${line}\n`).join('');
}

export const command: Command = {
  name: 'check',
  positionals: [],
  options: [
    { name: 'config', value: 'FILE', help: `configuration to check (default ${DEFAULT_CONFIG})` },
    { name: 'fix', help: 'mend what is safe to mend, then check again' },
    { name: 'json', help: 'print the findings as JSON' },
  ],
  details: `
Are CARP and state sync possible on this machine, and is the configuration sound? Looks at privileges, the kernel, its
connection tracking and sysctls, the interfaces and their addresses, every key of the configuration, the modes of secret files,
and the sync link with packets of its MTU. When the node runs, it is asked for what it and its peer see of each other: the sync
link and its MTU in both directions, clocks, versions, the shared configuration, passwords (compared without being shown), and
whether each one's multicast reaches the other. Nothing is changed; what is tried in the kernel (a socket, a macvlan) is
taken away again.
--fix loads kernel modules, switches conntrack's events and the liberal TCP window on (also in /etc/sysctl.d and
/etc/modules-load.d, for the next start) and takes away rights on secret files; it says what it did, and touches no rule,
address or link.
Each line: ok, warning or error, what was found, how to mend it; the last line is the answer. Exit: 0 without errors, 1 with.`,
  async run(args, io) {
    const { config, json, fix } = args.options;
    const sources = {
      named: typeof config === 'string' ? config : null,
      probe: io.native.kernelProbe,
      node: askRunningNode,
      now: io.now,
    };
    let findings = checkAll(await gatherFacts(sources));
    const fixed = fix === true ? applyFixes(findings) : [];
    if (fixed.length > 0) findings = checkAll(await gatherFacts(sources));
    const good = howMany(findings, 'error') === 0;
    const text =
      json === true
        ? `${JSON.stringify({ ok: good, verdict: verdict(findings), fixed, findings }, null, 2)}\n`
        : `${renderFixed(fixed, fix === true)}${renderFindings(findings, painter(io.colour))}`;
    await io.out(text);
    return good ? EXIT.done : EXIT.no;
  },
};

import { DEFAULT_CONFIG } from '../config/default-paths.ts';
import { formatError } from '../config/problem.ts';
import type { Config } from '../config/types.ts';
import { gatherFacts } from './check-facts.ts';
import { checkInterfaces, checkSync, checkVips } from './check-network.ts';
import {
  checkConntrack,
  checkForwarding,
  checkKernel,
  checkNft,
  checkPrivileges,
  checkProbes,
} from './check-system.ts';
import { type Command, EXIT } from './command.ts';
import { error, type Finding, type Level, ok, warning } from './finding.ts';
import type { SystemFacts } from './system-facts.ts';
import { clean, type Paint, painter } from './text.ts';

function checkConfig(facts: SystemFacts): Finding[] {
  const { config: result, configPath } = facts;
  if (!facts.configNamed) {
    const mend = 'write one, or name one with --config; docs/configuration.md says what it holds';
    return [warning('configuration', `${configPath}: no such file, so only the machine was looked at`, mend)];
  }
  const warnings = result.warnings.map((problem) => warning('configuration', formatError(problem), null));
  if (!result.ok)
    return [...result.errors.map((problem) => error('configuration', formatError(problem), null)), ...warnings];
  const { vip, interfaces } = result.config;
  const text = `${configPath}: ${vip.length} vhids, ${Object.keys(interfaces).length} interfaces`;
  return [ok('configuration', text), ...warnings];
}

const againstConfig = (facts: SystemFacts, config: Config): Finding[] => [
  ...checkInterfaces(facts, config),
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
    ...checkForwarding(facts, config),
    ...checkConfig(facts),
    ...(config ? againstConfig(facts, config) : []),
  ];
}

const STYLES = { ok: 'green', warning: 'yellow', error: 'red' } as const satisfies Record<Level, string>;

const howMany = (findings: readonly Finding[], level: Level) =>
  findings.filter((finding) => finding.level === level).length;

export function renderFindings(findings: readonly Finding[], paint: Paint): string {
  const width = Math.max(...findings.map(({ topic }) => topic.length));
  const lines = findings.map(({ level, topic, found, mend }) => {
    const line = `${paint(STYLES[level], level.padEnd(7))}  ${topic.padEnd(width)}  ${clean(found)}`;
    return mend === null ? line : `${line}\n${' '.repeat(11 + width)}mend: ${clean(mend)}`;
  });
  const [errors, warnings] = [howMany(findings, 'error'), howMany(findings, 'warning')];
  const verdict = errors > 0 ? 'not possible yet' : 'possible';
  lines.push('', `CARP and state sync are ${verdict} here: ${errors} errors, ${warnings} warnings`);
  return lines.map((line) => `${line}\n`).join('');
}

export const command: Command = {
  name: 'check',
  positionals: [],
  options: [
    { name: 'config', value: 'FILE', help: `configuration to check (default ${DEFAULT_CONFIG})` },
    { name: 'json', help: 'print the findings as JSON' },
  ],
  details: `
Are CARP and state sync possible on this machine, and is the configuration sound? Looks at privileges, the kernel, its
connection tracking and sysctls, the interfaces and their addresses, and every key of the configuration. Nothing is changed;
what is tried in the kernel (a socket, a macvlan) is taken away again.
Each line: ok, warning or error, what was found, how to mend it. Exit: 0 without errors, 1 with.`,
  async run(args, io) {
    const { config, json } = args.options;
    const findings = checkAll(await gatherFacts(typeof config === 'string' ? config : null, io.native.kernelProbe));
    const good = howMany(findings, 'error') === 0;
    const text =
      json === true
        ? `${JSON.stringify({ ok: good, findings }, null, 2)}\n`
        : renderFindings(findings, painter(io.colour));
    await io.out(text);
    return good ? EXIT.done : EXIT.no;
  },
};

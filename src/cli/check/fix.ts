/**
 * `carpio check --fix`: does what the findings say may be done, and tells each thing. What has to hold after a restart
 * is written into files of our own beside the system's.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, fchmodSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding, Fix } from './finding.ts';

export interface Fixed {
  done: boolean;
  /** What was done, or what could not be and why. */
  text: string;
}

/** Where things are; a test has its own. */
export interface FixPlaces {
  /** The sysctls as files. */
  proc: string;
  sysctlDir: string;
  modulesDir: string;
  modprobe(name: string): string | null;
}

const HEAD = '# Made by carpio check --fix.';
const FILE = 'carpio-check.conf';

function modprobe(name: string): string | null {
  const { status, stderr, error } = spawnSync('modprobe', [name], { encoding: 'utf8', timeout: 20_000 });
  if (status === 0) return null;
  return (error?.message ?? stderr ?? '').trim().split('\n')[0] || `modprobe ended with ${status}`;
}

const SYSTEM: FixPlaces = {
  proc: '/proc/sys',
  sysctlDir: '/etc/sysctl.d',
  modulesDir: '/etc/modules-load.d',
  modprobe,
};

/** One entry for each thing done; a fix that several findings ask for is done once. */
export function applyFixes(findings: readonly Finding[], places: FixPlaces = SYSTEM): Fixed[] {
  const fixes = new Map<string, Fix>();
  for (const { level, fix } of findings) if (level !== 'ok' && fix !== null) fixes.set(JSON.stringify(fix), fix);
  // Modules first: a sysctl may be theirs.
  const order = [...fixes.values()].sort((a, b) => Number(b.kind === 'modules') - Number(a.kind === 'modules'));
  return order.flatMap((fix) => apply(fix, places));
}

function apply(fix: Fix, places: FixPlaces): Fixed[] {
  if (fix.kind === 'modules') return loadModules(fix.names, places);
  if (fix.kind === 'sysctl') return setSysctl(fix.name, fix.value, places);
  const text = `chmod ${fix.mode.toString(8)} ${fix.path}`;
  return [attempt(text, () => setMode(fix.path, fix.mode))];
}

/** The file itself and never what a link in its place leads to. */
function setMode(path: string, mode: number): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

function attempt(text: string, act: () => void): Fixed {
  try {
    act();
    return { done: true, text };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return {
      done: false,
      text: `${text}: ${code === 'EACCES' || code === 'EPERM' ? 'not allowed; run it as root' : (code ?? message)}`,
    };
  }
}

function loadModules(names: readonly string[], places: FixPlaces): Fixed[] {
  return names.flatMap((name) => {
    const said = places.modprobe(name);
    if (said !== null) return [{ done: false, text: `modprobe ${name}: ${said}` }];
    return [{ done: true, text: `modprobe ${name}` }, ...keep(places.modulesDir, name, name)];
  });
}

function setSysctl(name: string, value: number, places: FixPlaces): Fixed[] {
  const now = attempt(`${name} = ${value}`, () =>
    writeFileSync(join(places.proc, ...name.split('.')), `${value}`, { flag: 'r+' }),
  );
  return now.done ? [now, ...keep(places.sysctlDir, name, `${name} = ${value}`)] : [now];
}

/** Puts a line into our file in `directory`, once; `key` is what the line begins with. */
function keep(directory: string, key: string, line: string): Fixed[] {
  if (!existsSync(directory)) return [];
  const path = join(directory, FILE);
  const before = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [HEAD];
  const others = before.filter((text) => text !== key && !text.startsWith(`${key} `));
  if (before.includes(line)) return [];
  return [
    attempt(`${line} in ${path}, for the next start`, () => writeFileSync(path, `${[...others, line].join('\n')}\n`)),
  ];
}

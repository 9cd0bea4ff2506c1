/**
 * Kernel settings under /proc/sys. A name is a list of path parts, because device names may contain dots:
 * ['net', 'ipv4', 'conf', 'eth0.7', 'arp_ignore'].
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/proc/sys';

export type SysctlName = readonly string[];

const text = (name: SysctlName): string => name.join('.');

function why(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'the kernel has no such setting (ENOENT)';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return `not allowed (${code}); root is needed`;
  return code ?? String(error);
}

/** The value without its line end. Throws an Error that names the setting. */
export function readSysctl(name: SysctlName): string {
  try {
    return readFileSync(join(ROOT, ...name), 'utf8').trim();
  } catch (error) {
    throw new Error(`read sysctl ${text(name)}: ${why(error)}`);
  }
}

/** Throws an Error that names the setting and the value. */
function writeSysctl(name: SysctlName, value: string): void {
  try {
    writeFileSync(join(ROOT, ...name), value);
  } catch (error) {
    throw new Error(`set sysctl ${text(name)} to ${value}: ${why(error)}`);
  }
}

interface Before {
  name: SysctlName;
  value: string;
}

/** What a run that was killed had changed; a file that is no such list counts as none. */
function remembered(file: string): Before[] {
  try {
    const list: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(list) ? list.filter(isBefore) : [];
  } catch {
    return [];
  }
}

function isBefore(one: unknown): one is Before {
  const { name, value } = (one ?? {}) as Record<string, unknown>;
  if (!Array.isArray(name) || name[0] !== 'net' || typeof value !== 'string') return false;
  return name.every((part) => typeof part === 'string' && /^[^/]+$/.test(part) && part !== '..');
}

interface Kept {
  name: SysctlName;
  value: string;
  holds(found: string): boolean;
}

/** A setting that somebody has changed behind our back. */
export interface SettingChanged {
  name: string;
  found: string;
  /** What it was set to again, or could not be. */
  value: string;
  error: string | null;
}

/** Changes settings and remembers what they were, so that a clean stop can put them back. */
export class Sysctls {
  readonly #before = new Map<string, Before>();
  readonly #file: string | null;
  /** What was asked for, whether it had to be changed for that or not. */
  readonly #kept = new Map<string, Kept>();

  /**
   * @param file where the memory outlives a kill -9 but no reboot (below /run); null: nowhere. Without the right to
   *   write there it does not.
   */
  constructor(file: string | null = null) {
    this.#file = file;
    for (const one of file === null ? [] : remembered(file)) this.#before.set(join(...one.name), one);
  }

  /** Sets a value if it is not set already. Throws an Error that names the setting. */
  set(name: SysctlName, value: string): void {
    this.#change(name, value);
    this.#kept.set(join(...name), { name, value, holds: (found) => found === value });
  }

  #change(name: SysctlName, value: string): void {
    const found = readSysctl(name);
    if (found === value) return;
    writeSysctl(name, value);
    const path = join(...name);
    if (this.#before.has(path)) return;
    this.#before.set(path, { name, value: found });
    this.#keep();
  }

  /** As `set`, but a setting that this kernel does not have is no trouble. */
  setIfPresent(name: SysctlName, value: string): void {
    if (existsSync(join(ROOT, ...name))) this.set(name, value);
  }

  /**
   * Makes the value at least `least`, for settings where the larger of two counts (net.ipv4.conf.all and the device's).
   */
  atLeast(name: SysctlName, least: number): void {
    const value = String(least);
    if (Number(readSysctl(name)) < least) this.#change(name, value);
    this.#kept.set(join(...name), { name, value, holds: (found) => Number(found) >= least });
  }

  /**
   * Loosens strict reverse path filtering on a device: the larger of `all` and the device's counts, so 2 (loose) on the
   * device undoes a 1 (strict) in either place. No filtering stays no filtering.
   */
  loosenReversePath(device: string): void {
    const name = (which: string): SysctlName => ['net', 'ipv4', 'conf', which, 'rp_filter'];
    const effective = Math.max(Number(readSysctl(name('all'))), Number(readSysctl(name(device))));
    if (effective === 1) this.set(name(device), '2');
  }

  /** Sets again what somebody has changed since. A setting whose device is gone is nobody's fault. */
  putBack(): SettingChanged[] {
    const changed: SettingChanged[] = [];
    for (const { name, value, holds } of this.#kept.values()) {
      if (!existsSync(join(ROOT, ...name))) continue;
      const found = readSysctl(name);
      if (holds(found)) continue;
      let error: string | null = null;
      try {
        writeSysctl(name, value);
      } catch (thrown) {
        error = (thrown as Error).message;
      }
      changed.push({ name: text(name), found, value, error });
    }
    return changed;
  }

  /** Forgets what was changed on a device that is about to be removed. */
  forgetDevice(device: string): void {
    for (const [path, { name }] of this.#before) if (name.includes(device)) this.#before.delete(path);
    for (const [path, { name }] of this.#kept) if (name.includes(device)) this.#kept.delete(path);
    this.#keep();
  }

  /** Puts every changed setting back. Returns what could not be put back (a device that is gone is no trouble). */
  restore(): Error[] {
    const failed: Error[] = [];
    for (const { name, value } of [...this.#before.values()].reverse()) {
      try {
        writeSysctl(name, value);
      } catch (error) {
        if (!(error as Error).message.includes('ENOENT')) failed.push(error as Error);
      }
    }
    this.#before.clear();
    this.#kept.clear();
    this.#keep();
    return failed;
  }

  #keep(): void {
    const file = this.#file;
    if (file === null) return;
    try {
      if (this.#before.size === 0) rmSync(file, { force: true });
      else {
        writeFileSync(`${file}.new`, JSON.stringify([...this.#before.values()]), { mode: 0o600 });
        renameSync(`${file}.new`, file);
      }
    } catch {
      // As it would be without a file.
    }
  }
}

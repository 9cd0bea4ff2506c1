/**
 * At every start of a Carpio image, before the network: takes over what is new on the stick, all of it or nothing, and
 * writes the settings of the host. A power cut at any point leaves the former configuration or the new one.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type Account, type Readers, reclaim, resettle, syncDirectory, writeWhole } from '../config/file-owner.ts';
import { loadConfig } from '../config/load.ts';
import { formatError } from '../config/problem.ts';
import { hostFiles, safeSettings } from './host-files.ts';
import { type HostSettings, parseHostSettings } from './host-settings.ts';
import { SAFE_ADDRESS, SAFE_PORT, SAFE_TOKEN, safeFiles } from './safe-mode.ts';
import { readStick, resetFile, type StickFiles } from './stick.ts';

interface BoxPorts {
  /** "" on the box itself; a folder in tests. */
  root: string;
  /** The account of the service: it reads the configuration, and owns nothing of what root reads. */
  account: Account | null;
  /** Makes a stick writable; it is mounted read-only. */
  writable(stick: string): void;
}

export interface BoxResult {
  mode: 'configured' | 'safe';
  /** For the console and for the report on the stick. */
  lines: string[];
}

const HOST_FILE = 'carpio-host.toml';
const LOGIN_FILE = 'authorized_keys';
const KEEP_HASHES = 16;

/**
 * Root reads the host's settings and who may log in: the account must not even see them. The account runs by
 * carpio.toml, rules and programs, and cannot change them. What is left is its keys and pass phrases, which nobody else
 * reads.
 */
function rightsOf(name: string, executable: boolean): { readers: Readers; mode: number } {
  if (name === HOST_FILE || name === LOGIN_FILE) return { readers: 'root', mode: 0o600 };
  if (executable) return { readers: 'group', mode: 0o750 };
  return { readers: /\.(toml|nft)$/.test(name) ? 'group' : 'account', mode: 0o600 };
}

export class Box {
  private readonly ports: BoxPorts;
  private readonly lines: string[] = [];

  constructor(ports: BoxPorts) {
    this.ports = ports;
  }

  /** @param sticks where the FAT partitions are mounted, the box's own first */
  apply(sticks: readonly string[]): BoxResult {
    this.recover();
    // Earlier images gave the whole directory to the account: nothing of it is read before it is root's.
    if (existsSync(this.at('data/etc'))) this.own(this.at('data/etc'));
    for (const stick of sticks) this.resetIfAsked(stick);
    sticks.forEach((stick, index) => {
      this.takeOver(stick, index === 0 ? 'own' : 'others');
    });
    const sound = this.soundConfig();
    const settings = this.hostSettings() ?? safeSettings();
    if (!sound) {
      const port = settings.ports[SAFE_PORT] ?? { addresses: [], gateway: [], dhcp: false, mtu: null };
      settings.ports[SAFE_PORT] = { ...port, addresses: [...new Set([...port.addresses, `${SAFE_ADDRESS}/24`])] };
    }
    this.writeHost(settings);
    this.pointTo(sound ? this.at('data/etc') : this.writeSafe());
    if (!sound) {
      this.lines.push(
        `safe mode: ${SAFE_ADDRESS} on ${SAFE_PORT}, forwarding nothing; status at http://${SAFE_ADDRESS}:8180/ with token ${SAFE_TOKEN}`,
      );
    }
    return { mode: sound ? 'configured' : 'safe', lines: this.lines };
  }

  private at(path: string): string {
    return join(this.ports.root || '/', path);
  }

  /** Ends a change that a power cut interrupted between its two renames. */
  private recover(): void {
    rmSync(this.at('data/etc.new'), { recursive: true, force: true });
    if (!existsSync(this.at('data/etc')) && existsSync(this.at('data/etc.old'))) {
      renameSync(this.at('data/etc.old'), this.at('data/etc'));
    }
  }

  private resetIfAsked(stick: string): void {
    const file = resetFile(stick);
    if (file === null) return;
    // First the request, so that a power cut does not make a reset at every start.
    this.ports.writable(stick);
    renameSync(join(stick, file), join(stick, 'factory-reset-done.txt'));
    for (const name of ['etc', 'etc.old', 'imported.json', 'ports'])
      rmSync(this.at(`data/${name}`), { recursive: true, force: true });
    for (const folder of ['state', 'ssh']) {
      const path = this.at(`data/${folder}`);
      for (const name of existsSync(path) ? readdirSync(path) : [])
        rmSync(join(path, name), { recursive: true, force: true });
    }
    this.lines.push('factory reset: configuration, keys and state are forgotten');
  }

  private takeOver(stick: string, source: 'own' | 'others'): void {
    let found: StickFiles;
    try {
      found = readStick(stick);
    } catch (error) {
      this.lines.push(`${stick}: cannot be read: ${(error as Error).message}`);
      return;
    }
    for (const line of found.refused) this.lines.push(`left on the stick: ${line}`);
    if (found.files.size === 0) return;
    const hash = hashOf(found.files);
    const imported = this.imported();
    if (source === 'own' ? imported.own === hash : imported.others.includes(hash)) return;
    const errors = this.tryFiles(found.files);
    if (errors.length > 0) {
      rmSync(this.at('data/etc.new'), { recursive: true, force: true });
      this.lines.push('nothing was taken from the stick, because:', ...errors.map((line) => `  ${line}`));
      return;
    }
    this.commit();
    if (source === 'own') imported.own = hash;
    else imported.others = [hash, ...imported.others].slice(0, KEEP_HASHES);
    this.writeWhole('data/imported.json', JSON.stringify(imported), { readers: 'root' });
    this.lines.push(`taken from the stick: ${[...found.files.keys()].join(' ')}`);
  }

  private imported(): { own: string | null; others: string[] } {
    try {
      const value = JSON.parse(readFileSync(this.at('data/imported.json'), 'utf8'));
      return { own: value.own ?? null, others: Array.isArray(value.others) ? value.others : [] };
    } catch {
      return { own: null, others: [] };
    }
  }

  /** Puts the new files beside the old configuration and checks them in their future place. */
  private tryFiles(files: ReadonlyMap<string, Buffer>): string[] {
    const fresh = this.at('data/etc.new');
    if (existsSync(this.at('data/etc'))) cpSync(this.at('data/etc'), fresh, { recursive: true });
    mkdirSync(fresh, { recursive: true });
    for (const [name, bytes] of files) this.writeWhole(`data/etc.new/${name}`, bytes, rightsOf(name, false));
    this.own(fresh);
    this.pointTo(fresh);
    const errors: string[] = [];
    const host = files.get(HOST_FILE);
    const parsed = host ? parseHostSettings(host.toString(), HOST_FILE) : null;
    if (parsed && !parsed.ok) errors.push(...parsed.errors.map(formatError));
    if (files.has('carpio.toml')) {
      const loaded = loadConfig(this.at('etc/carpio/carpio.toml'));
      if (!loaded.ok) errors.push(...loaded.errors.map(formatError));
    }
    return errors;
  }

  private commit(): void {
    const [now, old, fresh] = [this.at('data/etc'), this.at('data/etc.old'), this.at('data/etc.new')];
    rmSync(old, { recursive: true, force: true });
    if (existsSync(now)) renameSync(now, old);
    renameSync(fresh, now);
    syncDirectory(this.at('data'));
  }

  private soundConfig(): boolean {
    if (!existsSync(this.at('data/etc/carpio.toml'))) return false;
    this.pointTo(this.at('data/etc'));
    const loaded = loadConfig(this.at('etc/carpio/carpio.toml'));
    if (!loaded.ok)
      this.lines.push('the configuration is not sound:', ...loaded.errors.map((error) => `  ${formatError(error)}`));
    return loaded.ok;
  }

  private hostSettings(): HostSettings | null {
    const path = this.at(`data/etc/${HOST_FILE}`);
    if (!existsSync(path)) return null;
    const parsed = parseHostSettings(readFileSync(path, 'utf8'), HOST_FILE);
    if (parsed.ok) return parsed.settings;
    this.lines.push(...parsed.errors.map(formatError));
    return null;
  }

  private writeHost(settings: HostSettings): void {
    const name = settings.hostname ?? 'carpio';
    this.writeWhole('etc/hostname', `${name}\n`, PUBLIC);
    this.writeWhole('etc/hosts', `127.0.0.1 localhost\n127.0.1.1 ${name}\n::1 localhost\n`, PUBLIC);
    for (const [path, text] of hostFiles(settings)) this.writeWhole(`run/${path}`, text, PUBLIC);
    const shadow = this.at('etc/shadow');
    if (existsSync(shadow)) {
      const line = `root:${settings.password_hash ?? '*'}:20000:0:99999:7:::`;
      this.writeWhole(
        'etc/shadow',
        readFileSync(shadow, 'utf8').replace(/^root:.*$/m, () => line),
        { readers: 'root' },
      );
    }
    const keys = this.at(`data/etc/${LOGIN_FILE}`);
    if (existsSync(keys)) this.writeWhole('data/ssh/authorized_keys', readFileSync(keys), { readers: 'root' });
    else rmSync(this.at('data/ssh/authorized_keys'), { force: true });
  }

  private writeSafe(): string {
    const folder = this.at('run/carpio-box/safe');
    for (const [name, text] of safeFiles(folder))
      this.writeWhole(`run/carpio-box/safe/${name}`, text, rightsOf(name, false));
    this.own(folder);
    return folder;
  }

  /** /etc/carpio leads to `run/carpio-box/config`, which leads here. */
  private pointTo(folder: string): void {
    const link = this.at('run/carpio-box/config');
    mkdirSync(dirname(link), { recursive: true });
    try {
      unlinkSync(link);
    } catch {
      // the first time
    }
    symlinkSync(folder, link);
  }

  /**
   * The folder becomes root's, each file what its name and its mode say. Links go: nobody but the account has made
   * them.
   */
  private own(folder: string): void {
    const { account } = this.ports;
    reclaim(folder, account);
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const stat = lstatSync(path);
      if (stat.isDirectory()) {
        this.own(path);
        continue;
      }
      const { readers, mode } = rightsOf(name, (stat.mode & 0o111) !== 0);
      if (resettle(path, mode, readers, account)) continue;
      rmSync(path, { force: true });
      this.lines.push(`${name}: removed, it was no plain file, or had a second name`);
    }
  }

  private writeWhole(
    path: string,
    content: string | Buffer,
    { readers, mode = 0o600 }: { readers: Readers; mode?: number },
  ): void {
    const target = this.at(path);
    mkdirSync(dirname(target), { recursive: true });
    writeWhole(target, content, { readers, mode, replace: true, account: this.ports.account });
  }
}

const PUBLIC = { readers: 'root', mode: 0o644 } as const;

function hashOf(files: ReadonlyMap<string, Buffer>): string {
  const hash = createHash('sha256');
  for (const [name, bytes] of files) hash.update(`${name} ${bytes.length}\n`).update(bytes);
  return hash.digest('hex');
}

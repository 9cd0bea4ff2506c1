/** What the import tests share: the samples, loading what was made, and the real nft. */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../../../src/config/load.ts';
import { formatError } from '../../../../src/config/problem.ts';
import type { Config } from '../../../../src/config/types.ts';
import { type ImportResult, importConfig } from '../../../../src/import/import.ts';
import type { Outcome } from '../../../../src/import/ledger.ts';
import { type ImportKind, KINDS } from '../../../../src/import/result.ts';
import { roleDefines } from '../../../../src/kernel/nft-text.ts';

export type Imported = Extract<ImportResult, { ok: true }>;

export interface Sample {
  kind: ImportKind;
  name: string;
  text: string;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));

export function samples(): Sample[] {
  return globSync(join(HERE, '*.{xml,conf}'))
    .sort()
    .map((path) => {
      const name = basename(path);
      const kind = KINDS.find((one) => name.startsWith(one)) ?? 'pfsense';
      return { kind, name, text: readFileSync(path, 'utf8') };
    });
}

export function sample(name: string): Sample {
  return samples().find((one) => one.name === name)!;
}

export function importSample({ kind, text, name }: Sample): Imported {
  const result = importConfig(kind, text, name);
  assert.ok(result.ok, result.ok ? '' : result.error);
  return result as Imported;
}

/**
 * Writes the files into a directory of their own and loads them, as the daemon would. Throws with what the loader says.
 */
export function load(imported: Imported): { config: Config; toml: string; warnings: string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'carpio-import-'));
  try {
    const rulesPath = join(dir, 'rules.nft');
    if (imported.nft !== null) writeFileSync(rulesPath, imported.nft);
    const toml = imported.toml({ secrets: true, rulesPath });
    writeFileSync(join(dir, 'carpio.toml'), toml, { mode: 0o600 });
    const loaded = loadConfig(join(dir, 'carpio.toml'));
    if (!loaded.ok) throw new Error(`${loaded.errors.map(formatError).join('\n')}\n${toml}`);
    return { config: loaded.config, toml, warnings: loaded.warnings.map(formatError) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Why nft cannot be asked here, or null. It runs in a network namespace of its own and changes nothing even there. */
export function noNft(): string | null {
  const said = runNft('table inet x { }\n');
  return said === null ? null : `nft cannot be tried here: ${said.split('\n')[0]}`;
}

function runNft(text: string): string | null {
  const how = process.getuid?.() === 0 ? '-n' : '-rn';
  const done = spawnSync('unshare', [how, 'nft', '-c', '-f', '-'], { input: text, encoding: 'utf8', timeout: 60_000 });
  if (done.error) return done.error.message;
  return done.status === 0 ? null : done.stderr.trim() || `exit ${done.status}`;
}

/** The rules as Carpio loads them, the roles in front. @returns null, or what nft says */
export function nftSays(rules: string, interfaces: Readonly<Record<string, string>>): string | null {
  const roles = Object.fromEntries(
    Object.entries(interfaces).map(([role, device]) => [role, [device, `carp1-${role}`.slice(0, 15)]]),
  );
  return runNft(roleDefines(roles) + rules);
}

/** The entries of a report as `line outcome what: detail`, those of one outcome or all. */
export function entries(imported: Imported, outcome?: Outcome): string[] {
  return imported.report.entries
    .filter((entry) => outcome === undefined || entry.outcome === outcome)
    .map((entry) => `${entry.line} ${entry.outcome} ${entry.what}: ${entry.detail}`);
}

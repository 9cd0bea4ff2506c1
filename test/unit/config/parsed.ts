/** Configurations as text, for tests of what is read out of them and refused in them. */
import * as assert from 'uvu/assert';
import { type LoadResult, parseConfig } from '../../../src/config/load.ts';
import { formatError } from '../../../src/config/problem.ts';
import type { Config } from '../../../src/config/types.ts';

export const FILE = '/etc/carpio/carpio.toml';
export const HEAD = `[node]
name = "fw-a"
[interfaces]
wan = "eth0"
lan = "eth1"
sync = "eth2"
`;
export const VIP = `[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24"]
password = "hunter2"
`;

export const parsed = (text: string) => parseConfig(text, FILE);
export const errors = (result: LoadResult) => (result.ok ? [] : result.errors.map(formatError));
export const warnings = (result: LoadResult) => result.warnings.map(formatError);

export function good(text: string): Config {
  const result = parsed(text);
  assert.equal(errors(result), []);
  if (!result.ok) throw new Error('refused');
  return result.config;
}

/** The one error of `text`, without its file. */
export function only(text: string): string {
  const list = errors(parsed(text));
  assert.is(list.length, 1, list.join('\n') || 'accepted');
  assert.ok(list[0]!.startsWith(`${FILE}:`));
  assert.not.match(list[0]!, /\n/);
  return list[0]!.slice(FILE.length + 1);
}

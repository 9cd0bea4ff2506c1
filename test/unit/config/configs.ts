/** Small configurations for tests: the text of one, and what it becomes. */
import { parseConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/types.ts';

/** One vhid on one of two interfaces; `sync` (from line 12) and `rest` are what the test is about. */
export function configText(sync = 'peer = "10.99.0.2"', rest = ''): string {
  return `[node]
name = "fw-a"
[interfaces]
wan = "eth0"
sync = "eth2"
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24"]
password = "one"
[sync]
${sync}
${rest}`;
}

/** @throws Error with what is wrong: a test's own text has to be right. */
export function configOf(text: string): Config {
  const parsed = parseConfig(text, 'carpio.toml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.config;
}

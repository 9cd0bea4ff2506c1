/**
 * Settings of the contract that this version does not carry out yet: refused or said, never silently without effect.
 * Pure.
 */
import { errorAt } from './load.ts';
import type { ConfigError } from './problem.ts';
import type { Config } from './types.ts';

interface NotYet {
  /** The node would do something else than the file says: it does not start. */
  refused: ConfigError[];
  /** Something is missing that the file asks for; the rest works. */
  said: ConfigError[];
}

export function notYet(config: Config): NotYet {
  const refused: ConfigError[] = [];
  const said: ConfigError[] = [];
  const { sync } = config;
  if (sync !== null && sync.dialect !== 'carpio') {
    const text = `found "${sync.dialect}", which this version does not speak; allowed "carpio"`;
    refused.push(errorAt(config, ['sync', 'dialect'], text));
  }
  if (sync?.peer?.includes(':')) {
    const text = `found ${sync.peer}: the sync link speaks IPv4 only in this version; allowed an IPv4 address`;
    refused.push(errorAt(config, ['sync', 'peer'], text));
  }
  return { refused, said };
}

/**
 * Finding the running node: `--socket`, else [node] control of `--config`, else of the default configuration if that
 * can be read, else the default socket.
 */

import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { DEFAULT_CONFIG, DEFAULT_CONTROL } from '../config/default-paths.ts';
import type { Json } from '../contract/values.ts';
import type { Args, OptionSpec } from './args.ts';
import { CommandError } from './command.ts';
import { type CallOptions, callControl } from './control-client.ts';

export const SOCKET_OPTIONS: readonly OptionSpec[] = [
  { name: 'socket', value: 'PATH', help: `control socket of the node (default ${DEFAULT_CONTROL})` },
  { name: 'config', value: 'FILE', help: 'take the control socket from this configuration' },
];

/**
 * Reads [node] control and nothing else: a configuration that is being edited, or whose secrets this user may not read,
 * still tells where the node listens.
 */
function controlOf(file: string): string | null {
  const document = parse(readFileSync(file, 'utf8'));
  const node = document.node;
  const control = typeof node === 'object' && node !== null && 'control' in node ? node.control : null;
  return typeof control === 'string' ? control : null;
}

/** @throws CommandError when `--config` names a file that cannot be used */
export function socketPath(args: Args): string {
  const { socket, config } = args.options;
  if (typeof socket === 'string') return socket;
  if (typeof config !== 'string') {
    try {
      return controlOf(DEFAULT_CONFIG) ?? DEFAULT_CONTROL;
    } catch {
      return DEFAULT_CONTROL;
    }
  }
  try {
    return controlOf(config) ?? DEFAULT_CONTROL;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : (code ?? `not TOML; try: carpio check --config ${config}`);
    throw new CommandError(`cannot read ${config}: ${why}`);
  }
}

/** One command to the node that the arguments name. */
export function askNode(
  args: Args,
  cmd: string,
  values: Record<string, Json>,
  options: CallOptions = {},
): Promise<Json> {
  return callControl(socketPath(args), cmd, values, options);
}

/** The result of a command of a node that may be of another version: at least an object, or a clear refusal. */
export function asObject<T>(value: Json): T {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as T;
  throw new CommandError('the node answered with something else than an object; is it of another version?');
}

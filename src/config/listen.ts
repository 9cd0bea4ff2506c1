/** The feed's own reading of a listen address, without its exception. */

import { type ListenAddress, parseListen as parse } from '../net/listen-address.ts';

/** `127.0.0.1:8180`, `[::1]:8180`, `localhost:8180` or `unix:/path`; `null` for anything else. */
export function parseListen(text: string): ListenAddress | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/** What is allowed for a syslog receiver, in carpio.toml and in a box's carpio-host.toml. */
export const SYSLOG = '"address:port", as in "192.0.2.5:514"';
/** How many of them. */
export const MAX_SYSLOG = 4;

export function isSyslogTarget(text: string): boolean {
  const parsed = parseListen(text);
  return parsed?.kind === 'tcp' && parsed.port > 0;
}

/**
 * The address and port of a syslog receiver that the schema has let through.
 * @throws Error for anything that it would have refused
 */
export function syslogTarget(text: string): { address: string; port: number } {
  const parsed = parse(text);
  if (parsed.kind !== 'tcp') throw new Error(`syslog: found "${text}", expected an address and a port`);
  return { address: parsed.host, port: parsed.port };
}

/** The feed's own reading of a listen address, without its exception. */

import { type ListenAddress, parseListen as parse } from '../feed/address.ts';

/** `127.0.0.1:8180`, `[::1]:8180`, `localhost:8180` or `unix:/path`; `null` for anything else. */
export function parseListen(text: string): ListenAddress | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/**
 * The address and port of a syslog receiver that the schema has let through.
 * @throws Error for anything that it would have refused
 */
export function syslogTarget(text: string): { address: string; port: number } {
  const parsed = parse(text);
  if (parsed.kind !== 'tcp') throw new Error(`service.syslog: found "${text}", expected an address and a port`);
  return { address: parsed.host, port: parsed.port };
}

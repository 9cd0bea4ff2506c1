/**
 * The feed's listening addresses, `address:port`. Pure.
 */

import { formatAddress, isLoopback, parseAddress } from './address.ts';

export interface Listen {
  /** An IP address in canonical text. */
  host: string;
  port: number;
  loopback: boolean;
}

/** `127.0.0.1:8180`, `[::1]:8180` or `localhost:8180` (which is 127.0.0.1); `null` for anything else, names included. */
export function parseListen(text: string): Listen | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  if (!match) return null;
  const port = Number(match[3]);
  const v6 = match[1];
  const address = parseAddress(v6 ?? (match[2] === 'localhost' ? '127.0.0.1' : match[2]!));
  if (!address || (address.family === 6) !== (v6 !== undefined) || port < 1 || port > 65535) return null;
  return { host: formatAddress(address), port, loopback: isLoopback(address) };
}

/**
 * Listen addresses of the feed: what may be written in the configuration, and which of them only this machine reaches.
 */
import { isIP, isIPv4 } from 'node:net';

export type ListenAddress =
  | { kind: 'tcp'; host: string; port: number; local: boolean }
  | { kind: 'unix'; path: string; local: true };

/** Longest path the kernel takes for a UNIX socket (sun_path is 108 bytes with its closing zero). */
const UNIX_PATH_MAX = 107;

/**
 * Reads `host:port`, `[v6]:port` or `unix:/path`. The host is an IP address or `localhost`: a name that needs a
 * resolver could turn out to be an address that others reach.
 * @throws Error with one line for the person who wrote it
 */
export function parseListen(text: string): ListenAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    if (!path.startsWith('/') || Buffer.byteLength(path) > UNIX_PATH_MAX || path.includes('\0')) {
      throw refusal(text, `"unix:" and an absolute path of at most ${UNIX_PATH_MAX} bytes`);
    }
    return { kind: 'unix', path, local: true };
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? (match?.[2] === 'localhost' ? '127.0.0.1' : match?.[2]);
  const port = Number(match?.[3]);
  const family = match?.[1] === undefined ? 4 : 6;
  if (host === undefined || isIP(host) !== family || port > 65535) {
    throw refusal(text, '"127.0.0.1:8180", "[::1]:8180", "localhost:8180" or "unix:/run/carpio/feed.sock"');
  }
  return { kind: 'tcp', host, port, local: isLoopback(host) };
}

function refusal(found: string, expected: string): Error {
  return new Error(`feed.listen: found "${found}", expected ${expected}`);
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.');
  const canonical = URL.parse(`http://[${host}]/`)?.hostname ?? '';
  return canonical === '[::1]' || canonical.startsWith('[::ffff:7f'); // the second: 127.0.0.0/8 written as IPv6
}

/** The address as it is written in the configuration, with the port the kernel gave. */
export function formatListen(address: ListenAddress, port: number): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${port}` : `${address.host}:${port}`;
}

/** The name or address in a Host header, without port and brackets; `null` when it is not one. */
export function hostName(header: string): string | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/@[\]\s]+))(?::\d{1,5})?$/.exec(header);
  return match?.[1] ?? match?.[2] ?? null;
}

/**
 * Who may read the feed. Three questions, asked of every request before anything else is looked at:
 * is the Host one that a browser reaches without a foreign name server, is the page that asks our own, is the token
 * right.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { hostName } from '../net/listen-address.ts';

export interface Refusal {
  status: number;
  /** Name of the counter. */
  cause: 'host' | 'origin' | 'token';
  text: string;
}

export interface Door {
  /** Only this machine reaches it: a loopback address or a UNIX socket. */
  local: boolean;
  /** A TCP listener on a loopback address: open to every browser on this machine, hence to every page it shows. */
  loopback: boolean;
  /** Gives the token to be shown; `null` where none is needed. */
  token: (() => string) | null;
}

/** @returns `null` when the request may pass. Never throws. */
export function admit(headers: IncomingHttpHeaders, query: URLSearchParams, door: Door): Refusal | null {
  if (door.loopback && !isLocalHost(headers.host)) {
    return { status: 421, cause: 'host', text: 'Host must be localhost or an IP address here' };
  }
  if (headers.origin !== undefined && !isSameOrigin(headers.origin, headers.host)) {
    return { status: 403, cause: 'origin', text: 'a page from another origin may not read this' };
  }
  if (door.token !== null && !isToken(shownToken(headers, query), door.token)) {
    return { status: 401, cause: 'token', text: 'token needed: "Authorization: Bearer TOKEN" or ?token=TOKEN' };
  }
  return null;
}

/**
 * DNS rebinding: a foreign page can make its own name resolve to 127.0.0.1 and is then "same origin". It can't make the
 * browser send an IP address or localhost as Host. No Host at all: not a browser.
 */
function isLocalHost(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = hostName(host);
  return name !== null && (name.toLowerCase() === 'localhost' || isIP(name) !== 0);
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const url = URL.parse(origin);
  return url !== null && url.host !== '' && url.host === URL.parse(`${url.protocol}//${host}`)?.host;
}

function shownToken(headers: IncomingHttpHeaders, query: URLSearchParams): string {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '');
  return bearer?.[1] ?? query.get('token') ?? '';
}

/** Compares in a time that tells nothing about the token, its length included. An unreadable token opens to nobody. */
function isToken(shown: string, read: () => string): boolean {
  try {
    const wanted = read();
    return wanted !== '' && timingSafeEqual(digest(shown), digest(wanted));
  } catch {
    return false;
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

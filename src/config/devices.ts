/**
 * Names: which device a role is, and what the virtual device of a vhid is called. Pure.
 */

import { createHash } from 'node:crypto';

/** IFNAMSIZ less the ending zero, in bytes. */
const MAX_DEVICE = 15;
/** Hex digits of the role's hash at the end of a name that had to be cut. */
const HASH_DIGITS = 4;

/** The device of `role`, or `null` when [interfaces] does not name that role. */
export function deviceOf(interfaces: Readonly<Record<string, string>>, role: string): string | null {
  return Object.hasOwn(interfaces, role) ? interfaces[role]! : null;
}

/**
 * The macvlan that carries the virtual MAC of `vhid` on `role`: `carp1-wan`. A name that is too long for the kernel is
 * cut and ends in a hash of the role, so that two long roles which begin alike stay apart.
 */
export function virtualDevice(vhid: number, role: string): string {
  const name = `carp${vhid}-${role}`;
  if (name.length <= MAX_DEVICE) return name;
  const hash = createHash('sha256').update(role).digest('hex').slice(0, HASH_DIGITS);
  return name.slice(0, MAX_DEVICE - HASH_DIGITS) + hash;
}

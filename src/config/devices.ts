/**
 * Names: which device a role is, and what the virtual device of a vhid is called. Pure.
 */

/** IFNAMSIZ less the ending zero. */
const MAX_DEVICE = 15;

/** The device of `role`, or `null` when [interfaces] does not name that role. */
export function deviceOf(interfaces: Readonly<Record<string, string>>, role: string): string | null {
  return Object.hasOwn(interfaces, role) ? interfaces[role]! : null;
}

/** The macvlan that carries the virtual MAC of `vhid` on `role`: `carp1-wan`, cut to what the kernel takes. */
export function virtualDevice(vhid: number, role: string): string {
  return `carp${vhid}-${role}`.slice(0, MAX_DEVICE);
}

/** The name of a vhid everywhere in a node, in its reports and in its recordings: `role/vhid`, as in `wan/1`. */

export type VhidKey = `${string}/${number}`;

/** What a key names. `interface` is a role (wan, lan …), never a device. */
interface VhidPlace {
  interface: string;
  vhid: number;
}

export function vhidKey({ interface: role, vhid }: VhidPlace): VhidKey {
  return `${role}/${vhid}`;
}

/** `null`: the text is no key. */
export function parseVhidKey(text: string): VhidPlace | null {
  const [, role, digits] = /^(.+)\/(\d{1,3})$/.exec(text) ?? [];
  if (role === undefined) return null;
  return { interface: role, vhid: Number(digits) };
}

/** The interface role of a key. */
export const roleOfKey = (key: VhidKey): string => key.slice(0, key.lastIndexOf('/'));

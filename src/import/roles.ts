/** Names for interfaces. A role is a variable in the rules file, so it must not be a word of nft's own language. */
import { NFT_WORDS } from '../config/nft-words.ts';

const ROLE = /^[A-Za-z][A-Za-z0-9_]{0,14}$/;

/** Can this word be a role as it is? */
export function isRole(word: string): boolean {
  return ROLE.test(word) && !NFT_WORDS.has(word.toLowerCase());
}

/** A role from any text: `LAN 2` becomes `lan_2`, `eth0.100` becomes `eth0_100`; unique among `taken`. */
export function roleFrom(text: string, taken: ReadonlySet<string>, fallback = 'if'): string {
  const word = text
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')
    .slice(0, 15);
  const base = word === '' ? fallback : isRole(word) ? word : `${word.slice(0, 12)}_if`;
  let role = base;
  for (let n = 2; taken.has(role); n++) role = `${base.slice(0, 14 - String(n).length)}_${n}`;
  return role;
}

/** A device name as the kernel and nft take it: 1 to 15 printable bytes without `/ : " \ *` and white space. */
export function isDevice(name: string): boolean {
  return /^[\x21-\x7e]{1,15}$/.test(name) && !/[/:"\\*]/.test(name) && name !== '.' && name !== '..';
}

const NODE_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

export function isNodeName(name: string): boolean {
  return NODE_NAME.test(name);
}

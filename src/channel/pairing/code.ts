/**
 * The one-time code of `carpio pair`: 70 random bits as 14 characters and one check character, in three groups of five
 * (`K7Q2M-9XTRA-4HZ0C`). The alphabet has no I, L, O and U; who types I or L means 1, who types O means 0. Pure.
 */

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const DATA = 14;
const GROUP = 5;

/** Bytes of randomness that `makeCode` takes: one for each character, of which 5 bits are used. */
export const CODE_ENTROPY = DATA;

/**
 * x times the generator of GF(32), modulo x^5 + x^2 + 1. Its powers are all different up to the 31st, so a sum weighted
 * with them finds every single wrong character and every two that were exchanged.
 */
const next = (x: number): number => (x & 16 ? (x << 1) ^ 0x25 : x << 1);

const checkOf = (values: readonly number[]): number => values.reduce((sum, value) => next(sum ^ value), 0);

const grouped = (text: string): string => text.match(new RegExp(`.{${GROUP}}`, 'g'))?.join('-') ?? text;

/** @param random CODE_ENTROPY random bytes */
export function makeCode(random: Uint8Array): string {
  const values = Array.from(random.subarray(0, DATA), (byte) => byte & 31);
  return grouped([...values, checkOf(values)].map((value) => ALPHABET[value]).join(''));
}

type CodeResult = { ok: true; code: string } | { ok: false; error: string };

/** What a person typed, in its canonical form; case, spaces and dashes do not count. The error never shows the code. */
export function readCode(typed: string): CodeResult {
  const text = typed.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
  const odd = [...text].find((character) => !ALPHABET.includes(character));
  if (odd !== undefined) return { ok: false, error: 'the code has letters and digits only, and no U' };
  if (text.length !== DATA + 1) {
    return { ok: false, error: `the code has ${DATA + 1} characters, found ${text.length}` };
  }
  const values = [...text].map((character) => ALPHABET.indexOf(character));
  if (checkOf(values.slice(0, DATA)) !== values[DATA]) {
    return { ok: false, error: 'a character of the code is wrong; compare it with the other box' };
  }
  return { ok: true, code: grouped(text) };
}

/**
 * Values of the machines as JSON and back: what JSON has no word for becomes an object with one key that begins with a
 * dollar sign (bytes in hex, large integers, maps, typed arrays, numbers that are not finite). Pure.
 */

type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/** How large integers are written; recordings hide some of them (`blind` in tap.ts). */
export type BigWriter = (value: bigint) => string;

const DEPTH = 40;
const decimal: BigWriter = (value) => value.toString();

/** @returns one line of JSON, without a line break */
export function encodeValue(value: unknown, big: BigWriter = decimal): string {
  return JSON.stringify(toPlain(value, big, 0));
}

/** @throws Error when the text is no JSON or no value of this kind */
export function decodeValue(text: string): unknown {
  return fromPlain(JSON.parse(text) as Plain, 0);
}

function toPlain(value: unknown, big: BigWriter, depth: number): Plain {
  if (depth > DEPTH) throw new Error('a value that is nested too deep cannot be recorded');
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : { $number: String(value) };
  if (typeof value === 'bigint') return { $big: big(value) };
  if (typeof value !== 'object') throw new Error(`a ${typeof value} cannot be recorded`);
  const inner = (one: unknown): Plain => toPlain(one, big, depth + 1);
  if (value instanceof Uint32Array) return { $u32: [...value] };
  if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString('hex') };
  if (value instanceof Map) return { $map: [...value].map(([key, one]) => [inner(key), inner(one)]) };
  if (Array.isArray(value)) return value.map(inner);
  const plain: { [key: string]: Plain } = {};
  for (const [key, one] of Object.entries(value)) if (one !== undefined) plain[key] = inner(one);
  return plain;
}

function fromPlain(value: Plain, depth: number): unknown {
  if (depth > DEPTH) throw new Error('nested too deep');
  if (value === null || typeof value !== 'object') return value;
  const inner = (one: Plain): unknown => fromPlain(one, depth + 1);
  if (Array.isArray(value)) return value.map(inner);
  const keys = Object.keys(value);
  const [only] = keys;
  if (keys.length === 1 && only?.startsWith('$')) return special(only, value[only] ?? null, inner);
  return Object.fromEntries(keys.map((key) => [key, inner(value[key] ?? null)]));
}

function special(kind: string, value: Plain, inner: (one: Plain) => unknown): unknown {
  if (kind === '$number' && typeof value === 'string') return Number(value);
  if (kind === '$big' && typeof value === 'string' && /^-?\d{1,40}$/.test(value)) return BigInt(value);
  if (kind === '$hex' && typeof value === 'string' && /^([0-9a-f]{2})*$/.test(value)) return Buffer.from(value, 'hex');
  if (kind === '$u32' && Array.isArray(value)) return Uint32Array.from(value, Number);
  if (kind === '$map' && Array.isArray(value)) return new Map(value.map((pair) => inner(pair) as [unknown, unknown]));
  throw new Error(`${kind} is no kind of value`);
}

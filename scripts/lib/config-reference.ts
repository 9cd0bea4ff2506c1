/**
 * The tables of docs/configuration.md, made from the schema: key, type and range, default, whose it is, meaning. The
 * text around them is the document's own. Pure.
 */
import type { z } from 'zod';
import { ConfigSchema } from '../../src/config/schema.ts';
import { SCOPES } from '../../src/config/scope.ts';
import { MEANINGS } from './config-meanings.ts';

const HEAD = '| key | type | default | whose | meaning |\n|---|---|---|---|---|';

/** What is read of zod's own description of a schema. */
interface Piece {
  def: { type: string; innerType?: z.ZodType; defaultValue?: unknown; entries?: Record<string, string> };
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
}

const pieceOf = (schema: z.ZodType): Piece => schema as unknown as Piece;

interface Unwrapped {
  schema: z.ZodType;
  /** `undefined`: there is none, the key is needed. */
  fallback: unknown;
}

function unwrap(schema: z.ZodType): Unwrapped {
  let at = schema;
  let fallback: unknown;
  for (let inner = pieceOf(at).def; inner.innerType; inner = pieceOf(at).def) {
    if (inner.defaultValue !== undefined && fallback === undefined) fallback = inner.defaultValue;
    at = inner.innerType;
  }
  return { schema: at, fallback };
}

/** What the schema itself says is allowed: the words of its error. */
function allowed(schema: z.ZodType): string {
  return schema.safeParse(Symbol('nothing is allowed to be this')).error?.issues[0]?.message ?? '';
}

/** Short names for what is said at length in an error. */
const SHORT: readonly (readonly [RegExp, string])[] = [
  [/^an absolute path/, 'path'],
  [/^one unicast address/, 'address'],
  [/^an address with its prefix/, 'address/prefix'],
  [/^a network or address/, 'network'],
  [/not a word of the nft language$/, 'role'],
  [/^1 to 63 letters/, 'node name'],
  [/^"address:port" or "unix/, '`address:port`, `unix:/path`'],
  [/^"address:port"/, '`address:port`'],
];

const PLURAL: Readonly<Record<string, string>> = { address: 'addresses', network: 'networks' };

function typeText(schema: z.ZodType): string {
  const { def, element, shape } = pieceOf(schema);
  switch (def.type) {
    case 'boolean':
      return 'true, false';
    case 'enum':
      return Object.keys(def.entries ?? {})
        .map((value) => `\`"${value}"\``)
        .join(', ');
    case 'array':
      return `list of ${PLURAL[typeText(unwrap(element!).schema)] ?? typeText(unwrap(element!).schema)}`;
    case 'object':
      return `\`{ ${Object.keys(shape ?? {}).join(', ')} }\``;
    case 'string':
      return SHORT.find(([words]) => words.test(allowed(schema)))?.[1] ?? 'text';
    default:
      return allowed(schema);
  }
}

function rowsOf(section: string, shape: Record<string, z.ZodType>, prefix = ''): string[] {
  return Object.entries(shape).flatMap(([key, value]) => {
    const name = `${prefix}${key}`;
    const full = `${section}.${name}`;
    const { schema, fallback } = unwrap(value);
    const inner = pieceOf(schema).shape;
    const meaning = MEANINGS[full];
    if (meaning === undefined) throw new Error(`${full} has no meaning; write it into scripts/lib/config-meanings.ts`);
    const given = fallback === undefined || fallback === null ? null : `\`${JSON.stringify(fallback)}\``;
    const absent = meaning.absent ?? given ?? (prefix === '' && fallback === null ? 'none' : 'needed');
    const whose = inner ? '' : (SCOPES[full] ?? '?') === 'shared' ? 'shared' : 'own';
    const row = `| \`${name}\` | ${typeText(schema)} | ${absent} | ${whose} | ${meaning.text} |`;
    return inner ? [row, ...rowsOf(section, inner, `${name}.`)] : [row];
  });
}

function sectionShape(name: string): Record<string, z.ZodType> | null {
  const top = pieceOf(ConfigSchema).shape?.[name];
  if (top === undefined) return null;
  const { schema } = unwrap(top);
  const { element, shape } = pieceOf(schema);
  return shape ?? (element === undefined ? null : (pieceOf(unwrap(element).schema).shape ?? null));
}

/**
 * The document with every table of a section's keys made anew; the first table under `## [section]` is it.
 * @throws Error naming a section of the schema without a heading, or a key without a meaning
 */
export function withTables(document: string): string {
  let text = document;
  for (const name of Object.keys(pieceOf(ConfigSchema).shape ?? {})) {
    const shape = sectionShape(name);
    if (shape === null) continue; // [interfaces]: any name may stand there
    const at = new RegExp(`^## \\[+${name}\\]+$`, 'm').exec(text)?.index;
    if (at === undefined) throw new Error(`docs/configuration.md has no heading for [${name}]`);
    const rest = text.slice(at).replace(/(?<=\n)(\|.*\n)+/, () => `${[HEAD, ...rowsOf(name, shape)].join('\n')}\n`);
    text = text.slice(0, at) + rest;
  }
  return text;
}

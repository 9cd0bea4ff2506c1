/**
 * The shape of carpio.toml: every key, its type, range and default. The `error` of each piece says what is *allowed*;
 * the loader puts file, line, key and the value found in front of it. Rules that need more than one key are in
 * check-vips.ts and check-sections.ts, and nothing here reads a file.
 */

import { z } from 'zod';
import { notAssignable, notUnicast, parseAddress, parseCidr } from '../net/cidr.ts';
import { acceptSides } from './accept.ts';
import { DEFAULT_CONTROL, DEFAULT_PEER_PORT, DEFAULT_STATE_DIR } from './default-paths.ts';
import { isSyslogTarget, MAX_SYSLOG, parseListen, SYSLOG } from './listen.ts';
import { NFT_WORDS } from './nft-words.ts';

const MAX_ADDRESSES = 128;
const MAX_PEERS = 32;
const MAX_VIPS = 1024;
const MAX_TRACKS = 64;
/** sun_path of unix(7) holds 108 bytes, the last of which ends the string. */
const MAX_SOCKET_PATH = 107;
const MAX_PATH = 4095;

const allowed = (text: string) => ({ error: text });

function integer(min: number, max: number, unit = '') {
  const error = allowed(`${min}..${max}${unit && ` ${unit}`}`);
  return z.number(error).int(error).min(min, error).max(max, error);
}

function text(what: string, test: (value: string) => boolean) {
  return z.string(allowed(what)).refine(test, allowed(what));
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, allowed(values.map((value) => `"${value}"`).join(', ')));
}

function list<T extends z.ZodType>(item: T, max: number, what: string) {
  return z.array(item, allowed(`a list of ${what}`)).max(max, allowed(`at most ${max} ${what}`));
}

/** A key that may be left out; the configuration then says `null`, never `undefined`. */
function optional<T extends z.ZodType>(schema: T) {
  return schema.nullable().default(null);
}

function section<T extends z.ZodRawShape>(name: string, shape: T) {
  return z.strictObject(shape, allowed(`a [${name}] section`));
}

const flag = z.boolean(allowed('true or false'));

const bytes = (value: string) => Buffer.byteLength(value);

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Relative paths would mean something else for the service than for the shell that checked the file. */
const file = text(
  'an absolute path',
  (value) => value.startsWith('/') && !value.endsWith('/') && !CONTROL.test(value) && bytes(value) <= MAX_PATH,
);
const directory = text(
  'an absolute path',
  (value) => value.startsWith('/') && !CONTROL.test(value) && bytes(value) <= MAX_PATH,
);

const NODE_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const nodeName = text(
  '1 to 63 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit',
  (value) => NODE_NAME.test(value),
);

const ROLE = /^[A-Za-z][A-Za-z0-9_-]{0,14}$/;
/** A role is also a variable in the rules file (`$wan`), so it has to be a word that nft takes. */
const roleName = text(
  '1 to 15 letters, digits, "_" or "-", beginning with a letter, and not a word of the nft language',
  (value) => ROLE.test(value) && !NFT_WORDS.has(value.toLowerCase()),
);

const DEVICE_WHAT = 'a device name: 1 to 15 bytes, no "/", ":" or white space';
/** The kernel's own rule (dev_valid_name), IFNAMSIZ being 16 with its ending zero. */
const deviceName = text(
  DEVICE_WHAT,
  (value) =>
    bytes(value) >= 1 &&
    bytes(value) <= 15 &&
    value !== '.' &&
    value !== '..' &&
    !/[/:\s]/.test(value) &&
    !CONTROL.test(value),
);

/** `why` is what is wrong with a value of the right form; the loader puts it behind the value. */
function address(what: string, odd: (value: string) => string | null | undefined) {
  return z.string(allowed(what)).check((ctx) => {
    const why = odd(ctx.value);
    if (why === null) return;
    ctx.issues.push({ code: 'custom', message: what, input: ctx.value, params: { why } });
  });
}

/** `undefined`: not an address at all. */
const cidr = address('an address with its prefix length, as in "203.0.113.1/24" or "2001:db8::1/64"', (value) => {
  const parsed = parseCidr(value);
  return parsed ? notAssignable(parsed) : undefined;
});

const network = text('a network or address, as in "10.99.0.0/24" or "2001:db8::/32"', (value) =>
  Boolean(value.includes('/') ? parseCidr(value) : parseAddress(value)),
);

const acceptPair = text(
  '"FROM to TO", as in "lan to any" or "any to 192.0.2.10"',
  (value) => acceptSides(value) !== null,
);

const unicast = address('one unicast address without prefix, zone or port', (value) => {
  const parsed = parseAddress(value);
  return parsed ? notUnicast(parsed) : undefined;
});

const LISTEN = '"address:port" or "unix:/path", as in "127.0.0.1:8180", "[::1]:8180", "unix:/run/carpio/feed.sock"';
const listen = text(LISTEN, (value) => !CONTROL.test(value) && parseListen(value) !== null);

const node = section('node', {
  name: nodeName,
  state_dir: directory.default(DEFAULT_STATE_DIR),
  control: file
    .refine((value) => bytes(value) <= MAX_SOCKET_PATH, allowed(`an absolute path of at most ${MAX_SOCKET_PATH} bytes`))
    .default(DEFAULT_CONTROL),
});

const carp = section('carp', {
  preempt: flag.default(true),
  log: integer(0, 2).default(1),
  peers_only: list(unicast, MAX_PEERS, 'addresses').default([]),
});

const PASSWORD = 'at most 20 bytes of text without NUL';
export const MAX_PASSWORD = 20;

const vip = section('[vip]', {
  vhid: integer(1, 255),
  interface: optional(roleName),
  addresses: list(cidr, MAX_ADDRESSES, 'addresses').min(1, allowed('at least one address')),
  password: optional(text(PASSWORD, (value) => bytes(value) <= MAX_PASSWORD && !value.includes('\0'))),
  password_file: optional(file),
  advbase: integer(0, 254, 's').default(1),
  advskew: integer(0, 254, '(1/256 s)').default(0),
  mac: oneOf(['virtual', 'physical']).default('virtual'),
  peers: list(unicast, MAX_PEERS, 'addresses').default([]),
});

const track = section('[track]', {
  kind: oneOf(['link', 'script', 'file']),
  name: optional(text('1 to 64 printable characters', (value) => /^[ -~]{1,64}$/.test(value))),
  weight: integer(1, 254).default(240),
  interface: optional(roleName),
  path: optional(file),
  interval: optional(integer(1, 3600, 's')),
  timeout: optional(integer(1, 600, 's')),
});

const sync = section('sync', {
  interface: roleName.default('sync'),
  peer: optional(unicast),
  dialect: oneOf(['carpio', 'openbsd', 'freebsd-1301', 'freebsd-1400']).default('carpio'),
  key_file: optional(file),
  key_file_old: optional(file),
  port: integer(1, 65_535).default(DEFAULT_PEER_PORT),
  sync_when: oneOf(['all', 'answered', 'assured']).default('answered'),
  ignore: list(network, 256, 'networks').default([]),
  accept: list(acceptPair, 64, 'pairs').default([]),
  defer: flag.default(false),
  defer_ms: integer(1, 1000, 'ms').default(20),
  max_states: integer(1024, 16_777_216, 'states').default(1_048_576),
  mtu: integer(576, 9216, 'bytes').default(1500),
  event_buffer: integer(65_536, 1_073_741_824, 'bytes').default(67_108_864),
});

const firewall = section('firewall', {
  rules: optional(file),
  forward: flag.default(true),
});

const replicate = section('replicate', {
  from: nodeName,
  auto: flag.default(true),
  confirm_s: integer(2, 60, 's').default(10),
});

const feed = section('feed', {
  listen: list(listen, 8, 'addresses').min(1, allowed('at least one address')).default(['127.0.0.1:8180']),
  token_file: optional(file),
  tls: optional(z.strictObject({ cert: file, key: file }, allowed('{ cert = "…", key = "…" }'))),
});

const service = section('service', {
  realtime: integer(0, 49).default(10),
  watchdog: optional(file),
  watchdog_s: integer(5, 300, 's').default(30),
  syslog: list(text(SYSLOG, isSyslogTarget), MAX_SYSLOG, 'addresses').default([]),
});

const hooks = section('hooks', {
  on_event: optional(file),
});

export const ConfigSchema = z.strictObject({
  node,
  interfaces: z.record(roleName, deviceName, allowed('an [interfaces] section')),
  carp: carp.prefault({}),
  vip: z
    .array(vip, allowed('[[vip]] sections'))
    .max(MAX_VIPS, allowed(`at most ${MAX_VIPS} [[vip]] sections`))
    .default([]),
  track: z
    .array(track, allowed('[[track]] sections'))
    .max(MAX_TRACKS, allowed(`at most ${MAX_TRACKS} [[track]] sections`))
    .default([]),
  sync: optional(sync),
  firewall: optional(firewall),
  replicate: optional(replicate),
  feed: optional(feed),
  hooks: optional(hooks),
  service: service.prefault({}),
});

/** The file's content, checked and with its defaults, before the secrets are read. */
export type RawConfig = z.output<typeof ConfigSchema>;

interface Wrapped {
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
  def: { type: string; innerType?: z.ZodType };
}

/** Takes off the wrappers (optional, default …) down to the object, list or value inside. */
function bare(schema: z.ZodType): Wrapped {
  let at = schema as unknown as Wrapped;
  while (at.def.innerType) at = at.def.innerType as unknown as Wrapped;
  return at;
}

/** The keys that the table at `path` may have; empty where any key may stand (`[interfaces]`) or nothing is known. */
export function knownKeys(path: readonly (string | number)[]): string[] {
  let at = bare(ConfigSchema);
  for (const part of path) {
    const next = typeof part === 'number' ? at.element : at.shape?.[part];
    if (!next) return [];
    at = bare(next);
  }
  return Object.keys(at.shape ?? {});
}

/** Every key of the file in the form `section.key`, for documentation and hints; lists of tables without an index. */
export function everyKey(): string[] {
  const walk = (schema: Wrapped, prefix: string): string[] => {
    const inner = schema.element && bare(schema.element).shape ? bare(schema.element) : schema;
    if (!inner.shape) return prefix ? [prefix] : [];
    return Object.entries(inner.shape).flatMap(([key, value]) => walk(bare(value), prefix ? `${prefix}.${key}` : key));
  };
  return walk(bare(ConfigSchema), '');
}

/**
 * carpio-host.toml, the settings of the box itself that a Carpio image reads: name, ports, login, clock, name servers,
 * syslog. Everything about virtual addresses and sync is in carpio.toml, which is the same on any Linux.
 */
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { isSyslogTarget, MAX_SYSLOG, SYSLOG } from '../config/listen.ts';
import { type ConfigError, describe } from '../config/problem.ts';
import { Report } from '../config/report.ts';
import { TomlLines } from '../config/toml-lines.ts';
import { notAssignable, parseAddress, parseCidr } from '../net/cidr.ts';

const allowed = (text: string) => ({ error: text });
const list = (what: string, max: number, test: (value: string) => boolean) =>
  z
    .array(z.string(allowed(what)).refine(test, allowed(what)), allowed(`a list, each ${what}`))
    .max(max, allowed(`at most ${max}`));
const isAddress = (value: string) => parseAddress(value) !== null;
const isCidr = (value: string) => {
  const parsed = parseCidr(value);
  return parsed !== null && notAssignable(parsed) === null;
};
const isNetwork = (value: string) => value === 'default' || parseCidr(value) !== null;
/** A name server's or clock server's name; nothing that could end a line of a generated file. */
const isHost = (value: string) => isAddress(value) || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(value);
const HOSTNAME = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
/** `port1`, or VLAN 20 on it: `port1.20`. */
const PORT = /^port[1-9][0-9]?(\.[1-9][0-9]{0,3})?$/;
/** crypt(5) with SHA-256, SHA-512 or yescrypt; what the console's login can check. */
const HASH = /^\$(5|6)\$[A-Za-z0-9./$=]{20,200}$/;

const PortSchema = z.strictObject(
  {
    addresses: list('an address with its prefix length, as in "192.168.1.2/24"', 32, isCidr).default([]),
    gateway: list('an address', 2, isAddress).default([]),
    dhcp: z.boolean(allowed('true or false')).default(false),
    mtu: z
      .number(allowed('576..9216'))
      .int()
      .min(576, allowed('576..9216'))
      .max(9216, allowed('576..9216'))
      .nullable()
      .default(null),
  },
  allowed('a section [ports.port1]'),
);

const text = (what: string, test: RegExp) =>
  z.string(allowed(what)).regex(test, allowed(what)).nullable().default(null);

const HostSchema = z.strictObject({
  hostname: text('1 to 63 letters, digits or "-"', HOSTNAME),
  password_hash: text('a hash that begins with $6$ or $5$, from: openssl passwd -6', HASH),
  dns: list('an address', 3, isAddress).default([]),
  ntp: list('a name or an address', 8, isHost).default([]),
  syslog: list(SYSLOG, MAX_SYSLOG, isSyslogTarget).default([]),
  ports: z
    .record(
      z.string().regex(PORT, allowed('port1 to port99, or port1.20 for VLAN 20 on it')),
      PortSchema,
      allowed('sections [ports.port1]'),
    )
    .default({}),
  route: z
    .array(
      z.strictObject({
        to: z.string(allowed('a network')).refine(isNetwork, allowed('a network, as in "10.0.0.0/8"')),
        via: z.string(allowed('an address')).refine(isAddress, allowed('an address')),
        port: z.string(allowed('a port')).regex(PORT, allowed('port1 to port99')),
      }),
      allowed('sections [[route]]'),
    )
    .max(256, allowed('at most 256'))
    .default([]),
});

export type HostSettings = z.infer<typeof HostSchema>;
export type PortSettings = z.infer<typeof PortSchema>;
type HostResult = { ok: true; settings: HostSettings } | { ok: false; errors: ConfigError[] };

interface Issue {
  code?: string;
  path: PropertyKey[];
  message: string;
  keys?: string[];
  issues?: { message: string }[];
}

/** The value that was found; a password's hash is never shown. */
function found(document: unknown, path: readonly PropertyKey[]): string {
  let at: unknown = document;
  for (const part of path)
    at = typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[part] : undefined;
  return path.includes('password_hash') ? 'another text' : describe(at, path as (string | number)[]);
}

function explain(issue: Issue, document: unknown, report: Report): void {
  const path = issue.path as (string | number)[];
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys ?? []) report.error([...path, key], 'unknown key (docs/flash.md lists them)');
  } else if (issue.code === 'invalid_key') report.error(path, `found this name, allowed ${issue.issues?.[0]?.message}`);
  else report.error(path, `found ${found(document, path)}, allowed ${issue.message}`);
}

/** @param file its name in errors. Never throws. */
export function parseHostSettings(source: string, file: string): HostResult {
  let document: unknown;
  let lines: TomlLines;
  try {
    document = parse(source, { maxDepth: 8, unsafeKeyBehaviour: 'throw' });
    lines = new TomlLines(source);
  } catch (error) {
    const line = error instanceof TomlError ? error.line : 1;
    return { ok: false, errors: [{ file, line, key: '', message: 'not TOML' }] };
  }
  const result = HostSchema.safeParse(document);
  if (result.success) return { ok: true, settings: result.data };
  const report = new Report(file, lines);
  for (const issue of result.error.issues as Issue[]) explain(issue, document, report);
  return { ok: false, errors: report.errors };
}

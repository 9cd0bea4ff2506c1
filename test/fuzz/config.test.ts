import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { formatError } from '../../src/config/problem.ts';
import { type KeyPath, TomlLines } from '../../src/config/toml-lines.ts';
import { parseFilter } from '../../src/contract/state-filter.ts';

const fuzz = suite('fuzz: configuration');

const SEED = Number(process.env.SEED ?? 0x5eed);
const ROUNDS = 3000;
const SECRET = 'hunter2';

/** mulberry32: small, seeded, good enough to scatter mutations. */
function randomFrom(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const GOOD = `[node]
name = "fw-a"
control = "/run/carpio/control.sock"
[interfaces]
wan = "eth0"
lan = "eth1"
sync = "eth2"
[carp]
preempt = true
log = 1
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24", "2001:db8::1/64"]
password = "${SECRET}"
advskew = 100
peers = ["203.0.113.3", "2001:db8::3"]
[[vip]]
vhid = 2
addresses = [
  "10.0.0.1/24", # lan
]
password = '''${SECRET}'''
mac = "physical"
[[track]]
kind = "script"
path = "/bin/true"
interval = 10
[sync]
peer = "10.99.0.2"
ignore = ["10.99.0.0/24"]
[feed]
listen = ["127.0.0.1:8180"]
tls = { cert = "/dev/null", key = "/dev/null" }
[hooks]
on_event = "/bin/true"
`;

const PIECES = [
  ...[
    '[',
    ']',
    '[[vip]]',
    '{',
    '}',
    '=',
    '.',
    ',',
    '"',
    "'",
    '"""',
    "'''",
    '\\',
    '#',
    '\n',
    '\r\n',
    '\0',
    '\uFEFF',
    '\ud800',
  ],
  ...['0', '-1', '1e400', 'nan', 'inf', '0x1F', '99999999999999999999', '1979-05-27', '07:32:00', 'true', '1_0'],
  ...[
    'password = ',
    'vhid',
    '__proto__',
    'constructor',
    'toString',
    '"a.b"',
    '[vip]',
    '[a.b.c]',
    '[[track]]',
    'x = {y={z=1}}',
  ],
  ...['"203.0.113.1/24"', '"::/0"', '"::ffff:1.2.3.4/128"', '"0.0.0.0:0"', 'ü', 'x'.repeat(300), '['.repeat(40)],
];

function mutate(text: string, random: (below: number) => number): string {
  let out = text;
  for (let n = 1 + random(4); n > 0; n--) {
    const at = random(out.length + 1);
    const length = random(3) === 0 ? random(40) : random(3);
    const piece = PIECES[random(PIECES.length)]!;
    const lines = out.split('\n');
    switch (random(5)) {
      case 0:
        out = out.slice(0, at) + out.slice(at + length);
        break;
      case 1:
        out = out.slice(0, at) + piece + out.slice(at);
        break;
      case 2:
        out = out.slice(0, at) + piece + out.slice(at + length);
        break;
      case 3:
        lines.splice(random(lines.length), 0, lines[random(lines.length)]!);
        out = lines.join('\n');
        break;
      default:
        // A value replaced by another: stays TOML more often than the rest, so that the checks behind it are reached.
        lines.splice(random(lines.length), 1, lines[random(lines.length)]!.replace(/=.*/, `= ${piece}`));
        out = lines.join('\n');
    }
  }
  return out;
}

fuzz(`mutated files are accepted or refused, never more (SEED=${SEED})`, () => {
  const random = randomFrom(SEED);
  const seen = { accepted: 0, notToml: 0, refused: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const text = mutate(GOOD, random);
    let result: ReturnType<typeof parseConfig>;
    try {
      result = parseConfig(text, 'f');
    } catch (error) {
      throw new Error(`SEED=${SEED} round ${round}: ${error}\n${text}`);
    }
    const last = text.split('\n').length;
    const problems = [...result.warnings, ...(result.ok ? [] : result.errors)];
    for (const problem of problems) {
      const line = formatError(problem);
      assert.not.match(line, /[\r\n]/, `round ${round}`);
      // Only where a mutation has made it the value of another key may it be shown: nobody can know what it was.
      const elsewhere = problem.message.startsWith(`found "${SECRET}"`) && !problem.key.includes('password');
      assert.ok(elsewhere || !problem.message.includes(SECRET), `round ${round}: ${line}`);
      assert.ok(problem.line >= 1 && problem.line <= last, `round ${round}: ${line}`);
      assert.ok(line.length < 1000, `round ${round}: ${line}`);
    }
    if (result.ok) seen.accepted++;
    else {
      assert.ok(result.errors.length > 0);
      if (result.errors[0]!.message.startsWith('not TOML')) seen.notToml++;
      else seen.refused++;
    }
  }
  // All three ways were taken, or the mutations reach nothing.
  for (const [way, times] of Object.entries(seen)) assert.ok(times > ROUNDS / 50, `${way}: ${times}`);
});

/** Every path in a parsed document whose last part is a key. */
function* paths(value: unknown, path: KeyPath = []): Generator<KeyPath> {
  if (typeof value !== 'object' || value === null || value instanceof Date) return;
  for (const [key, inner] of Object.entries(value)) {
    const next = [...path, Array.isArray(value) ? Number(key) : key];
    if (!Array.isArray(value)) yield next;
    yield* paths(inner, next);
  }
}

fuzz('the line of a key is a line on which it stands', () => {
  const random = randomFrom(SEED + 1);
  let compared = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const text = mutate(GOOD, random);
    let document: unknown;
    try {
      document = parse(text, { maxDepth: 16 });
    } catch {
      continue; // the line finder is only asked about documents that parse
    }
    const found = new TomlLines(text);
    const lines = text.split('\n');
    for (const path of paths(document)) {
      const key = String(path.at(-1));
      const line = lines[found.lineOf(path) - 1] ?? '';
      assert.ok(line.includes(key) || /[\\"']/.test(line), `round ${round}: ${path.join('.')} in ${line}\n${text}`);
      compared++;
    }
  }
  assert.ok(compared > 10_000, `${compared}`);
});

fuzz('random bytes in the file', () => {
  const random = randomFrom(SEED + 2);
  const dir = mkdtempSync(join(tmpdir(), 'carpio-fuzz-'));
  const path = join(dir, 'carpio.toml');
  try {
    for (let round = 0; round < 200; round++) {
      const bytes = Buffer.from(Array.from({ length: random(300) }, () => random(256)));
      writeFileSync(path, random(2) === 0 ? bytes : Buffer.concat([Buffer.from(GOOD), bytes]));
      const result = loadConfig(path);
      if (!result.ok) for (const error of result.errors) assert.not.match(formatError(error), /[\r\n]/);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

fuzz('filters', () => {
  const random = randomFrom(SEED + 3);
  for (let round = 0; round < ROUNDS; round++) {
    const parsed = parseFilter(mutate('proto=tcp dst=192.0.2.0/24 dport=1-443 owner=peer kernel!=no', random));
    if (!parsed.ok) assert.ok(parsed.error.length > 0);
  }
});

fuzz.run();

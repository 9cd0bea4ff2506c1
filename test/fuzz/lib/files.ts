/** Decoders of what stands in files and on the command line, and of messages between this program's own processes. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { readCode } from '../../../src/channel/pairing/code.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { formatError } from '../../../src/config/problem.ts';
import { parseFilter } from '../../../src/contract/state-filter.ts';
import { admit } from '../../../src/feed/guard.ts';
import { importConfig } from '../../../src/import/import.ts';
import { scanRules } from '../../../src/kernel/nft-scan.ts';
import { formatCidr, parseCidr } from '../../../src/net/cidr.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { hostName, parseListen } from '../../../src/net/listen-address.ts';
import { Replay } from '../../../src/recording/replay.ts';
import { samples } from '../../unit/import/samples/lib.ts';
import { must, type Target } from './target.ts';

const words = (...list: string[]): Buffer[] => list.map((word) => Buffer.from(word));

const TOML = `[node]
name = "fw-a"
[interfaces]
wan = "eth0"
sync = "eth2"
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24", "2001:db8::1/64"]
password = "x"
[[track]]
kind = "script"
path = "/bin/true"
[sync]
peer = "10.99.0.2"
ignore = ["10.99.0.0/24"]
[feed]
listen = ["127.0.0.1:8180"]
`;

const config: Target = {
  name: 'config',
  what: 'carpio.toml',
  corpus: [Buffer.from(TOML)],
  words: words(
    '[',
    ']]',
    '[[vip]]',
    '{',
    '=',
    '"""',
    "'''",
    '\\u',
    '__proto__',
    '1e400',
    'nan',
    '0x',
    '\r\n',
    '"::/0"',
    '.',
  ),
  most: 1500,
  run(input) {
    const loaded = parseConfig(input.toString('utf8'), 'f.toml');
    if (!loaded.ok)
      for (const error of loaded.errors) must(!formatError(error).includes('\n'), 'an error of more than a line');
  },
};

const RULES = `include "x.nft"
table inet filter { chain input { type filter hook input priority 0; policy drop; iifname $lan accept } }
define a = { 1, 2 } # comment
`;
const rules: Target = {
  name: 'rules',
  what: 'the scan of nftables rules',
  corpus: [Buffer.from(RULES)],
  words: words('{', '}', '"', "'", '\\', '\n', 'table', 'chain', ';', '#', 'include "', '$'),
  most: 1000,
  run: (input) => void scanRules(input.toString('utf8'), () => ['table ip y { }']),
};

const imports = samples().map(
  ({ kind, name, text }): Target => ({
    name: `import-${name}`,
    what: `an import of ${kind}`,
    corpus: [Buffer.from(text.slice(0, 6000))],
    words: words('{', '}', '<', '>', '</', '&#', ';', '"', '<![CDATA[', '!', '#', '1/0', '::', '0.0.0.0/0'),
    most: 7000,
    run(input) {
      const result = importConfig(kind, input.toString('utf8'), 'f');
      if (!result.ok) must(!result.error.includes('\n'), 'an error of more than a line');
      else result.toml({ secrets: true, rulesPath: '/dev/null' });
    },
  }),
);

const text: Target = {
  name: 'text',
  what: 'addresses, listen addresses, state filters, pairing codes, the headers and the query of the feed',
  corpus: words(
    '203.0.113.1/24',
    'fd77::1%eth0/64',
    '::ffff:1.2.3.4',
    '127.0.0.1:8180',
    '[::1]:8180',
    'unix:/run/x.sock',
    'proto=tcp,udp dport!=22 src=10.0.0.0/8',
    'localhost:8180',
    'https://[::1]:8180',
    'since=77&recent=10&token=%41%ff',
    'ABCD-EFGH-IJKL-MNOP',
  ),
  words: words(':', '/', '::', '%', '[', ']', ',', '=', '!=', '-', '&', '\0', '\u00fc', '255', '4294967296'),
  most: 200,
  run(input) {
    const given = input.toString('utf8');
    const cidr = parseCidr(given);
    if (cidr !== null) must(formatCidr(parseCidr(formatCidr(cidr))!) === formatCidr(cidr), 'a network is not itself');
    const ip = parseIp(given);
    if (ip !== null) must(formatIp(parseIp(formatIp(ip))!) === formatIp(ip), 'an address is not itself');
    // Used wrongly it says so by an error; that is its answer.
    refusing(() => parseListen(given));
    hostName(given);
    parseFilter(given);
    readCode(given);
    const headers = { host: given, origin: given, authorization: given };
    admit(headers, new URLSearchParams(given), { local: true, loopback: true, token: () => 'secret' });
    admit({}, new URLSearchParams(given), { local: false, loopback: false, token: () => 'secret' });
  },
};

function refusing(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    must(error instanceof Error && error.constructor === Error, `not a refusal: ${error}`);
  }
}

const RECORDED = gunzipSync(readFileSync(new URL('../../vectors/data/failover-fw-a.jsonl.gz', import.meta.url)))
  .toString('utf8')
  .split('\n');
const HEAD = RECORDED[0] ?? '';

/** A damaged line is a difference or damage, told; it must not end the replay. */
const replay: Target = {
  name: 'replay',
  what: 'lines of a recording',
  corpus: RECORDED.slice(1, 400).map((line) => Buffer.from(line)),
  words: words(
    '"m":"sync"',
    '"m":"group"',
    '"state":{}',
    '"in":{}',
    '"out":[]',
    '{"$map":[]}',
    '{"$hex":"00"}',
    'null',
    '[[',
    '-1',
    '1e99',
  ),
  most: 4000,
  run(input) {
    const run = new Replay();
    run.take(HEAD);
    for (const line of RECORDED.slice(1, 8)) run.take(line);
    run.take(input.toString('utf8').replaceAll('\n', ' '));
    run.take(RECORDED[8] ?? '');
  },
};

export const FILES: readonly Target[] = [config, rules, ...imports, text, replay];

/** `carpio pair`: the code, the key's file, and the exchange between two processes of which one may be a stranger. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CODE_ENTROPY, makeCode, readCode } from '../../../src/channel/pairing/code.ts';
import { type JoinResult, joinPair } from '../../../src/channel/pairing/join.ts';
import { fingerprint, newKey, unwritable, writeKey } from '../../../src/channel/pairing/key-file.ts';
import { type OfferOptions, type OfferResult, offerKey, PAIR_LIMITS } from '../../../src/channel/pairing/offer.ts';
import { chooseListen, mayPair, settingsOf } from '../../../src/channel/pairing/settings.ts';
import { readKey } from '../../../src/config/secret-files.ts';

const code = suite('pair: code');

code('70 bits in groups, read back however it is typed', () => {
  const made = makeCode(randomBytes(CODE_ENTROPY));
  assert.match(made, /^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$/);
  const zeros = makeCode(new Uint8Array(CODE_ENTROPY));
  assert.is(zeros, '00000-00000-00000');
  assert.equal(readCode('ooooo ooooo ooo00'), { ok: true, code: zeros });
  const ones = makeCode(new Uint8Array(CODE_ENTROPY).fill(1));
  assert.equal(readCode(ones.replaceAll('1', 'l').toLowerCase().replaceAll('-', '')), { ok: true, code: ones });
  assert.equal(readCode(`  ${made.replaceAll('-', ' ')}\n`), { ok: true, code: made });
});

code('every single wrong character and every exchange of two is found', () => {
  for (let round = 0; round < 20; round++) {
    const made = makeCode(randomBytes(CODE_ENTROPY)).replaceAll('-', '');
    for (let i = 0; i < made.length; i++) {
      for (const other of '0123456789ABCDEFGHJKMNPQRSTVWXYZ') {
        if (other !== made[i]) assert.not.ok(readCode(made.slice(0, i) + other + made.slice(i + 1)).ok);
      }
      for (let j = i + 1; j < made.length; j++) {
        if (made[i] === made[j]) continue;
        const swapped = [...made];
        [swapped[i], swapped[j]] = [made[j]!, made[i]!];
        assert.not.ok(readCode(swapped.join('')).ok, `${made}: ${i} and ${j}`);
      }
    }
  }
});

code('what cannot be a code is refused without showing it', () => {
  for (const typed of ['', 'ABC', 'U0000-00000-00000', '00000-00000-000001', 'ä'.repeat(15)]) {
    const read = readCode(typed);
    assert.not.ok(read.ok);
    if (!read.ok && typed !== '') assert.not.ok(read.error.includes(typed));
  }
});

code.run();

const file = suite('pair: key file');
let dir = '';
file.before(() => {
  dir = mkdtempSync(join(tmpdir(), 'carpio-pair-'));
});
file.after(() => rmSync(dir, { recursive: true, force: true }));

file('mode 0600, whole, read by the configuration, never over another', () => {
  const path = join(dir, 'pair.key');
  const key = newKey();
  writeKey(path, key, false);
  assert.is(statSync(path).mode & 0o777, 0o600);
  const read = readKey(path);
  assert.ok(read.ok && read.warning === null && read.secret.equals(key));
  const before = readFileSync(path, 'utf8');
  assert.throws(() => writeKey(path, newKey(), false), /exists; --force/);
  assert.is(readFileSync(path, 'utf8'), before);
  const second = newKey();
  writeKey(path, second, true);
  assert.is(readFileSync(path, 'utf8'), `${second.toString('hex')}\n`);
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.equal(readdirSync(dir), ['pair.key'], 'no temporary file stays');
});

file('a place that cannot be written is named before anything happens', () => {
  assert.match(unwritable(join(dir, 'no', 'pair.key')) ?? '', /no such directory: install -d/);
  assert.is(unwritable(join(dir, 'pair.key')), null);
  assert.throws(() => writeKey(join(dir, 'no', 'pair.key'), newKey(), false), /no such file/);
});

file('the fingerprint is of the key and of nothing else', () => {
  const key = newKey();
  assert.match(fingerprint(key), /^[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}$/);
  assert.is(fingerprint(key), fingerprint(Buffer.from(key)));
  assert.is.not(fingerprint(key), fingerprint(newKey()));
});

file.run();

const settings = suite('pair: settings');

settings('name, key file, device and peer from a file that may lack the rest', () => {
  const document = {
    node: { name: 'fw-a' },
    interfaces: { wan: 'eth0', cable: 'eth7' },
    sync: { interface: 'cable', peer: '10.99.0.2', key_file: '/k/pair.key' },
  };
  const got = settingsOf(document, 'host');
  assert.equal(got, { node: 'fw-a', keyFile: '/k/pair.key', keyNamed: true, device: 'eth7', peer: '10.99.0.2' });
  const none = settingsOf(null, 'host');
  assert.equal(none, { node: 'host', keyFile: '/etc/carpio/pair.key', keyNamed: false, device: null, peer: null });
});

settings('the address to wait on, and who may come', () => {
  const own = ['192.0.2.9/24', '10.99.0.1/30', 'fd00::1/64'];
  assert.is(chooseListen(own, '10.99.0.2'), '10.99.0.1/30');
  assert.is(chooseListen(own, 'fd00::2'), 'fd00::1/64');
  assert.is(chooseListen(own, '172.16.0.1'), null);
  assert.is(chooseListen(own, null), '192.0.2.9/24');
  assert.is(chooseListen([], null), null);
  assert.ok(mayPair('10.99.0.1/30', '10.99.0.2')('10.99.0.2'));
  assert.not.ok(mayPair('10.99.0.1/29', '10.99.0.2')('10.99.0.3'), 'a third machine on the link');
  assert.ok(mayPair('10.99.0.1/29', null)('10.99.0.3'));
  assert.not.ok(mayPair('10.99.0.1/29', null)('203.0.113.9'));
  assert.not.ok(mayPair('10.99.0.1/29', null)(''));
});

settings.run();

const exchange = suite('pair: exchange');
const CODE = makeCode(randomBytes(CODE_ENTROPY));
const WRONG = makeCode(randomBytes(CODE_ENTROPY));

interface Offered {
  key: Buffer;
  port: number;
  said: string[];
  result: Promise<OfferResult>;
}

async function offered(change: Partial<OfferOptions> = {}): Promise<Offered> {
  const key = newKey();
  const said: string[] = [];
  let result: Promise<OfferResult> | null = null;
  const port = await new Promise<number>((resolve) => {
    result = offerKey({
      code: CODE,
      key,
      node: 'fw-a',
      host: '127.0.0.1',
      port: 0,
      allowed: () => true,
      withinMs: 60_000,
      say: (line) => said.push(line),
      listening: resolve,
      ...change,
    });
  });
  return { key, port, said, result: result! };
}

interface Joined {
  result: JoinResult;
  key: Buffer | null;
}

async function joins(port: number, how: { code?: string; storeError?: string } = {}): Promise<Joined> {
  let key: Buffer | null = null;
  const result = await joinPair({
    code: how.code ?? CODE,
    node: 'fw-b',
    host: '127.0.0.1',
    port,
    store: (given) => {
      if (how.storeError !== undefined) throw new Error(how.storeError);
      key = given;
      return fingerprint(given);
    },
  });
  return { result, key };
}

exchange('the right code: both have the same key and the same fingerprint', async () => {
  const { key, port, said, result } = await offered();
  const other = await joins(port);
  assert.equal(other.result, { ok: true, peer: 'fw-a', fingerprint: fingerprint(key) });
  assert.ok(other.key?.equals(key));
  assert.equal(await result, { ok: true, peer: 'fw-b', counts: { guesses: 1, refused: 0 } });
  assert.equal(said, []);
  const again = await joins(port);
  assert.not.ok(again.result.ok, 'one pairing, and no more');
});

exchange('wrong codes: refused, counted, and after five the code is void for the right one too', async () => {
  const { port, said, result } = await offered();
  for (let i = 0; i < PAIR_LIMITS.attempts; i++) {
    const wrong = await joins(port, { code: WRONG });
    assert.is(wrong.key, null);
    assert.match(wrong.result.ok ? '' : wrong.result.error, /code is wrong/);
    if (i === 0) assert.match(said[0] ?? '', /wrong code.*4 attempts left/);
  }
  const ended = await result;
  assert.not.ok(ended.ok);
  assert.is(ended.counts.guesses, PAIR_LIMITS.attempts);
  assert.is((await joins(port)).key, null);
});

exchange('four wrong ones are no reason to refuse the right one', async () => {
  const { key, port, result } = await offered();
  for (let i = 1; i < PAIR_LIMITS.attempts; i++) await joins(port, { code: WRONG });
  assert.ok((await joins(port)).key?.equals(key));
  assert.ok((await result).ok);
});

exchange('a machine that may not: not even a handshake, and no attempt is lost', async () => {
  let asked = '';
  const { port, result } = await offered({
    withinMs: 1500,
    allowed: (address) => {
      asked = address;
      return false;
    },
  });
  const refused = await joins(port);
  assert.is(refused.key, null);
  assert.is(asked, '127.0.0.1');
  const ended = await result;
  assert.match(ended.ok ? '' : ended.error, /nobody came within 2 s/);
  assert.equal(ended.counts, { guesses: 0, refused: 1 });
});

exchange('garbage, and a client of ordinary TLS, make no guess', async () => {
  const { key, port, result } = await offered();
  await new Promise<void>((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => socket.write(randomBytes(500)));
    socket.on('error', () => {}).on('close', () => resolve());
  });
  assert.ok((await joins(port)).key?.equals(key));
  assert.equal((await result).counts, { guesses: 1, refused: 1 });
});

exchange('connections that say nothing do not keep the other box out', async () => {
  const { key, port, result } = await offered();
  const idle: Socket[] = [];
  for (let n = 0; n < 3 * PAIR_LIMITS.connections; n++) {
    idle.push(
      await new Promise<Socket>((resolve) => {
        const socket = createConnection(port, '127.0.0.1', () => resolve(socket));
        socket.on('error', () => {});
      }),
    );
  }
  assert.ok((await joins(port)).key?.equals(key));
  assert.ok((await result).ok);
  for (const socket of idle) socket.destroy();
});

/** Everything that goes through, recorded. */
async function recorder(to: number): Promise<{ port: number; sent: Buffer[]; answered: Buffer[]; close(): void }> {
  const sent: Buffer[] = [];
  const answered: Buffer[] = [];
  const server = createServer((client) => {
    const onward = createConnection(to, '127.0.0.1');
    const both = (a: Socket, b: Socket, into: Buffer[]): void => {
      a.on('data', (bytes: Buffer) => {
        into.push(bytes);
        b.write(bytes);
      });
      a.on('error', () => {}).on('close', () => b.destroy());
    };
    both(client, onward, sent);
    both(onward, client, answered);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, sent, answered, close: () => server.close() };
}

exchange('a recording of a good pairing, played again: no key in it, refused, and one attempt', async () => {
  const first = await offered();
  const tape = await recorder(first.port);
  assert.ok((await joins(tape.port)).key?.equals(first.key));
  await first.result;
  tape.close();
  const wire = Buffer.concat([...tape.sent, ...tape.answered]);
  assert.ok(wire.length > 200);
  for (const secret of [first.key, Buffer.from(first.key.toString('hex')), Buffer.from(CODE), Buffer.from('fw-b')]) {
    assert.not.ok(wire.includes(secret), 'nothing of it is readable');
  }
  const second = await offered();
  await new Promise<void>((resolve) => {
    const socket = createConnection(second.port, '127.0.0.1', () => socket.write(Buffer.concat(tape.sent)));
    socket
      .on('error', () => {})
      .on('data', () => {})
      .on('close', () => resolve());
  });
  assert.ok((await joins(second.port)).key?.equals(second.key), 'the real one still gets it');
  const { ok, counts } = await second.result;
  assert.ok(ok);
  assert.equal(counts, { guesses: 2, refused: 0 });
});

exchange('the other box cannot store it: both say so, and it may try again', async () => {
  const { key, port, said, result } = await offered();
  const failed = await joins(port, { storeError: 'cannot write /k: it exists; --force replaces it' });
  assert.match(failed.result.ok ? '' : failed.result.error, /it exists/);
  assert.ok((await joins(port)).key?.equals(key));
  assert.ok((await result).ok);
  assert.match(said[0] ?? '', /could not store the key: cannot write \/k/);
});

exchange('nobody waits: said as such', async () => {
  const { port, result } = await offered({ withinMs: 1 });
  await result;
  const { result: late } = await joins(port);
  assert.match(late.ok ? '' : late.error, /run `carpio pair` there first/);
});

exchange.run();

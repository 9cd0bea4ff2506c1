import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Secret } from '../../../src/config/secret.ts';
import { readKey, readPassword, readToken, type SecretResult } from '../../../src/config/secret-files.ts';

const secret = suite('config: secrets');
const dir = mkdtempSync(join(tmpdir(), 'carpio-secret-'));
secret.after(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
function file(content: string | Buffer, mode = 0o600): string {
  const path = join(dir, `file${count++}`);
  writeFileSync(path, content);
  chmodSync(path, mode); // not at creation, where the umask would have a say
  return path;
}

const bytes = (result: SecretResult) => (result.ok ? result.secret.reveal() : Buffer.from(`refused: ${result.error}`));
const error = (result: SecretResult) => (result.ok ? 'accepted' : result.error);

secret('prints as [secret] wherever it is turned into text', () => {
  const hidden = new Secret(Buffer.from('hunter2'));
  const texts = [
    `${hidden}`,
    String(hidden),
    JSON.stringify({ hidden }),
    inspect({ hidden }, { showHidden: true, depth: 5 }),
    format('%s %o %O %j', hidden, hidden, hidden, hidden),
    Object.prototype.toString.call(hidden),
    JSON.stringify(Object.entries(hidden)),
  ];
  for (const text of texts) assert.not.match(text, /hunter2|68756e746572|104,117/);
  assert.is(`${hidden}`, '[secret]');
  assert.is(hidden.reveal().toString(), 'hunter2');
});

secret('revealed bytes are a copy', () => {
  const hidden = new Secret(Buffer.from('abc'));
  hidden.reveal().fill(0);
  assert.is(hidden.reveal().toString(), 'abc');
});

secret('compares by content', () => {
  const hidden = new Secret(Buffer.from('abc'));
  assert.ok(hidden.equals(Buffer.from('abc')));
  assert.ok(hidden.equals(new Secret(Buffer.from('abc'))));
  assert.not.ok(hidden.equals(Buffer.from('abd')));
  assert.not.ok(hidden.equals(Buffer.from('abcd')));
});

secret('password files lose one newline and nothing else', () => {
  assert.equal(bytes(readPassword(file('pass\n'), 20)), Buffer.from('pass'));
  assert.equal(bytes(readPassword(file('pass\r\n'), 20)), Buffer.from('pass'));
  assert.equal(bytes(readPassword(file('pass\n\n'), 20)), Buffer.from('pass\n'));
  assert.equal(bytes(readPassword(file(' p w '), 20)), Buffer.from(' p w '));
  assert.equal(bytes(readPassword(file(Buffer.from([0xff, 0xfe])), 20)), Buffer.from([0xff, 0xfe]));
});

secret('password files that can not be used are refused without their content', () => {
  assert.match(error(readPassword(file('x'.repeat(21)), 20)), /holds 21 bytes, allowed at most 20$/);
  assert.match(error(readPassword(file('a\0b'), 20)), /NUL/);
  assert.match(error(readPassword(join(dir, 'absent'), 20)), /no such file/);
  assert.match(error(readPassword(dir, 20)), /not a regular file/);
  assert.match(error(readPassword('/dev/zero', 20)), /not a regular file/);
  assert.match(error(readPassword(file(Buffer.alloc(5000, 0x61)), 20)), /found 5000 bytes/);
});

secret('a pipe in place of a file does not hang', () => {
  const pipe = join(dir, 'pipe');
  execFileSync('mkfifo', [pipe]);
  assert.match(error(readKey(pipe)), /not a regular file/);
});

secret('files that everybody can read are pointed out', () => {
  const warning = (mode: number) => {
    const result = readPassword(file('pass', mode), 20);
    return result.ok ? result.warning : 'refused';
  };
  assert.is(warning(0o600), null);
  assert.is(warning(0o640), null);
  assert.match(warning(0o644) ?? '', /chmod 600/);
});

const HEX = '00112233445566778899aabbccddeeff';

secret('pair keys are hex or raw', () => {
  assert.equal(bytes(readKey(file(`${HEX}\n`))), Buffer.from(HEX, 'hex'));
  assert.equal(bytes(readKey(file(HEX.toUpperCase()))), Buffer.from(HEX, 'hex'));
  assert.equal(bytes(readKey(file(HEX.replace(/(..)(?=.)/g, '$1:')))), Buffer.from(HEX, 'hex'));
  const raw = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7));
  assert.equal(bytes(readKey(file(raw))), raw);
});

secret('pair keys that are too short, damaged or no key are refused without their content', () => {
  assert.match(error(readKey(file('0011223344556677'))), /holds 16 hex digits, allowed at least 32/);
  assert.match(error(readKey(file(HEX.slice(1)))), /31 hex digits, an odd number/);
  assert.match(error(readKey(file('tooshort!'))), /holds 9 bytes/);
  assert.match(error(readKey(file(''))), /holds 0 bytes/);
  assert.match(error(readKey(file('0'.repeat(64)))), /repeats/);
  assert.not.match(error(readKey(file('tooshort!'))), /tooshort/);
});

secret('tokens are printable and long enough', () => {
  assert.equal(bytes(readToken(file(`${HEX}\n`))), Buffer.from(HEX));
  assert.match(error(readToken(file('short'))), /at least 16/);
  assert.match(error(readToken(file('a token with spaces'))), /spaces/);
});

secret.run();

/** `carpio pfsync dump` on what FreeBSD 9.1's own stack sent, and on files that are none. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp, cli, dir } from './fake-node.ts';

const test = suite('cli: pfsync dump');
const capture = (name: string): string => new URL(`../../vectors/data/captures/${name}`, import.meta.url).pathname;
process.env.CARPIO_SOURCE = new URL('../../../src', import.meta.url).pathname;

test('states as pfctl prints them, NAT in brackets', async () => {
  const { code, out, err } = await cli('pfsync', 'dump', capture('pfsync-freebsd91.pcap'));
  assert.is(code, 0, err);
  assert.match(out, /^16:04:23\.979 10\.60\.3\.1 > 224\.0\.0\.240: pfsync freebsd-1301 len 1258$/m);
  assert.match(
    out,
    'all tcp 10.60.2.1:61436 (10.60.1.100:60546) -> 10.60.2.200:7000 ESTABLISHED:ESTABLISHED age 00:00:00 ' +
      'expires 24:00:00 id 0000000200000003 creator 99ed9885',
  );
  assert.match(out, /UPD_REQ 1\n +everything \(bulk\)\n/);
});

test('as many frames as the capture has, each a line of JSON', async () => {
  const { code, out } = await cli('pfsync', 'dump', capture('pfsync-freebsd91-v2.pcap'), '--json');
  assert.is(code, 0);
  // The list ends with a line of sums over all frames.
  const listed = readFileSync(capture('pfsync-freebsd91-v2.packets.txt'), 'utf8').trim().split('\n').slice(0, -1);
  const frames = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.is(frames.length, listed.length);
  frames.forEach((frame, i) => {
    const messages = frame.messages.map(
      (one: { kind: string; items: unknown[] }) => `${one.kind} x${one.items.length}`,
    );
    const said = /sum \S+ (.*)$/.exec(listed[i] ?? '')?.[1] ?? '';
    assert.is(messages.filter((text: string) => !text.startsWith('EOF')).join(', '), said.replace(/,? ?EOF x1$/, ''));
  });
});

test('a damaged frame is named and counted, and the rest is read', async () => {
  const bytes = readFileSync(capture('pfsync-freebsd91.pcap'));
  const damaged = Buffer.from(bytes);
  // The version byte of the first frame: behind the file's and the frame's head, Ethernet and IPv4.
  damaged[24 + 16 + 14 + 20] = 99;
  const path = join(dir, 'damaged.pcap');
  writeFileSync(path, damaged);
  const { code, out, err } = await cli('pfsync', 'dump', path);
  assert.is(code, 1);
  assert.match(out, 'refused: badver');
  assert.match(out, 'INS 5');
  assert.match(err, /1 of \d+ frames could not be read whole/);
});

test('what is no capture, and a verb that is not there, are clear refusals', async () => {
  const text = join(dir, 'text.pcap');
  writeFileSync(text, 'hello, this is no capture at all');
  assert.match((await cli('pfsync', 'dump', text)).err, /text\.pcap: not a pcap file/);
  assert.match((await cli('pfsync', 'dump', join(dir, 'none.pcap'))).err, /none\.pcap: no such file/);
  const verb = await cli('pfsync', 'drop', text);
  assert.is(verb.code, 2);
  assert.match(verb.err, /found drop, allowed dump/);
});

test.after(cleanUp);
test.run();

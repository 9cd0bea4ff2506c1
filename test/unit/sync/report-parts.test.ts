/** Reports of nodes with many vhids: longer than a datagram, in parts. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MESSAGE_HEADER, MSG } from '../../../src/sync/wire/datagram.ts';
import { ReportAssembler, splitReport } from '../../../src/sync/wire/report-parts.ts';

const test = suite('report parts');
const ROOM = 1400;
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, (_none, i) => i % 251));
const content = (message: Buffer): Buffer => message.subarray(MESSAGE_HEADER);

test('a short one goes as it is', () => {
  const [only, ...rest] = splitReport(bytes(ROOM), ROOM, 1);
  assert.equal(rest, []);
  assert.is(only?.[0], MSG.REPORT);
  assert.equal(content(only!), bytes(ROOM));
});

test('a long one in parts that fit, in any order', () => {
  const parts = splitReport(bytes(20_000), ROOM, 7);
  assert.ok(parts.every((part) => part.length <= ROOM + MESSAGE_HEADER && part[0] === MSG.REPORT_PART));
  const assembler = new ReportAssembler();
  const whole = parts.reverse().map((part) => assembler.take(content(part)));
  assert.equal(whole.at(-1), bytes(20_000));
  assert.ok(whole.slice(0, -1).every((one) => one === null));
});

test('parts of two reports are never mixed; a lost part costs one report', () => {
  const assembler = new ReportAssembler();
  const [a, b] = [splitReport(bytes(5000), ROOM, 1), splitReport(bytes(5001), ROOM, 2)];
  for (const part of a.slice(1)) assert.is(assembler.take(content(part)), null);
  const whole = b.map((part) => assembler.take(content(part)));
  assert.equal(whole.at(-1), bytes(5001));
  assert.is(assembler.take(content(a[0]!)), null, 'the first report stays lost');
});

test('nonsense is no report', () => {
  const assembler = new ReportAssembler();
  for (const odd of [[], [1], [1, 0], [1, 0, 0], [1, 0, 1], [1, 5, 5], [1, 0, 255]]) {
    assert.is(assembler.take(Buffer.from(odd)), null);
  }
});

test.run();

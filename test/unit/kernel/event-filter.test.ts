/** The event filter, run in a small BPF machine: what it lets pass without any kernel. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ctMessage, STATUS } from '../../../scripts/sim/worlds/ct-messages.ts';
import { tcpFlow } from '../../../scripts/sim/worlds/sync-world.ts';
import type { Instruction } from '../../../src/kernel/event-filter.ts';
import { echoFilter, encodeFilter, statusFilter } from '../../../src/kernel/event-filter.ts';

const filter = suite('event filter');

/** nla_find: the offset of the first attribute of that type, 0 when there is none (net/core/filter.c). */
function findAttribute(message: Buffer, from: number, type: number): number {
  for (let at = from; at + 4 <= message.length; ) {
    const length = message.readUInt16LE(at);
    if (length < 4) return 0;
    if ((message.readUInt16LE(at + 2) & 0x3fff) === type) return at;
    at += (length + 3) & ~3;
  }
  return 0;
}

/** Classic BPF, as far as the filter uses it. */
function run(program: readonly Instruction[], message: Buffer): number {
  let [a, x] = [0, 0];
  for (let pc = 0; pc < program.length; pc++) {
    const { code, jt, jf, k } = program[pc] as Instruction;
    if (code === 0x00) a = k;
    else if (code === 0x01) x = k;
    else if (code === 0x20) {
      assert.ok(k === 0xfffff00c || k === 12, 'only the port and the attribute search are loaded from fixed places');
      a = k === 12 ? message.readUInt32BE(12) : findAttribute(message, a, x);
    } else if (code === 0x40) {
      if (x + k + 4 > message.length) return 0;
      a = message.readUInt32BE(x + k);
    } else if (code === 0x07) x = a;
    else if (code === 0x15) pc += a === k ? jt : jf;
    else if (code === 0x45) pc += (a & k) !== 0 ? jt : jf;
    else if (code === 0x06) return k;
    else throw new Error(`instruction ${code.toString(16)}`);
  }
  throw new Error('ran off the end');
}

const passes = (bits: number, status: number, kind: 'new' | 'destroy' = 'new'): boolean =>
  run(statusFilter(bits), ctMessage(tcpFlow(1, status), kind)) !== 0;

filter('answered: half-open connections do not pass, answered ones do, ended ones too', () => {
  assert.not.ok(passes(STATUS.seenReply, STATUS.confirmed));
  assert.not.ok(passes(STATUS.seenReply, STATUS.confirmed, 'destroy'));
  assert.ok(passes(STATUS.seenReply, STATUS.confirmed | STATUS.seenReply));
  assert.ok(passes(STATUS.seenReply, STATUS.confirmed | STATUS.seenReply, 'destroy'));
});

filter('assured: only what is assured', () => {
  assert.not.ok(passes(STATUS.assured, STATUS.confirmed | STATUS.seenReply));
  assert.ok(passes(STATUS.assured, STATUS.confirmed | STATUS.seenReply | STATUS.assured));
});

filter('a message without a status passes: the module decides', () => {
  const message = ctMessage(tcpFlow(1), 'new');
  assert.ok(run(statusFilter(STATUS.seenReply), message.subarray(0, 20)) !== 0);
});

filter('what a request of this port has caused does not pass; all else goes on to the other filter', () => {
  const [own, other] = [0x12345678, 0x78563412];
  const from = (port: number, status: number): Buffer => {
    const message = Buffer.from(ctMessage(tcpFlow(1, status), 'new'));
    message.writeUInt32LE(port, 12);
    return message;
  };
  const half = STATUS.confirmed;
  const answered = half | STATUS.seenReply;
  const all = (program: Instruction[]) =>
    [own, other, 0].flatMap((port) => [half, answered].map((status) => run(program, from(port, status)) !== 0));
  assert.equal(all(echoFilter(own, null)), [false, false, true, true, true, true]);
  assert.equal(all(echoFilter(own, statusFilter(STATUS.seenReply))), [false, false, false, true, false, true]);
});

filter('the bytes the kernel gets', () => {
  assert.is(
    encodeFilter(statusFilter(2)).subarray(0, 24).toString('hex'),
    '0000000014000000' + '0100000003000000' + '200000000cf0ffff',
  );
});

filter.run();

/** Helper threads of the runtime become urgent; one that has ended meanwhile is no trouble. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SysError } from '../../../src/kernel/libc.ts';
import { hurryThread } from '../../../src/kernel/scheduling.ts';

const test = suite('scheduling');

/** Above the largest number that the kernel gives to a thread (PID_MAX_LIMIT, 4 Mi). */
const ENDED = 0x3fff_ffff;

test('a thread that has ended since it was listed needs nothing', () => {
  assert.not.throws(() => hurryThread(ENDED, 1));
  assert.not.throws(() => hurryThread(ENDED, 0));
});

test('negative control: any other refusal is told', () => {
  // 100 is no priority: EINVAL with the right to it, EPERM without.
  assert.throws(
    () => hurryThread(process.pid, 100),
    (error: unknown) => error instanceof SysError,
  );
});

test.run();

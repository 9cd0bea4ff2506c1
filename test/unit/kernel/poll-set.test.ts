/**
 * Waiting for several descriptors: which one woke it, the one that a pause does not wait for, and times below a
 * millisecond.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { closeQuietly, libc, Sock } from '../../../src/kernel/libc.ts';
import { PollSet } from '../../../src/kernel/poll-set.ts';

const set = suite('kernel: poll set');
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

function scene(run: (polled: PollSet, fds: [number, number], say: (fd: number) => void) => void): void {
  const fds: [number, number] = [libc().eventfd(0, Sock.EFD_NONBLOCK), libc().eventfd(0, Sock.EFD_NONBLOCK)];
  try {
    run(new PollSet(fds), fds, (fd) => void libc().write(fd, ONE, 8));
  } finally {
    for (const fd of fds) closeQuietly(fd);
  }
}

const ready = ({ ready }: PollSet): boolean[] => ready.map(({ is }) => is);

set('before the first wait nothing is known of any of them', () => {
  scene((polled) => assert.equal(ready(polled), [true, true]));
});

set('a wait ends when one of them has something, and says which', () => {
  scene((polled, [first, second], say) => {
    polled.wait(0);
    assert.equal(ready(polled), [false, false]);
    say(second);
    polled.wait(60_000);
    assert.equal(ready(polled), [false, true]);
    say(first);
    polled.wait(60_000);
    assert.equal(ready(polled), [true, true]);
  });
});

set('a pause is ended by the others only, and supposes that the patient ones have something', () => {
  scene((polled, [first, second], say) => {
    say(first);
    const begun = performance.now();
    assert.not.ok(polled.pause(20, 1));
    assert.ok(performance.now() - begun >= 20, 'it has lasted to its end');
    assert.equal(ready(polled), [true, false]);
    say(second);
    assert.ok(polled.pause(60_000, 1));
    assert.equal(ready(polled), [true, true]);
    assert.not.ok(polled.pause(1, 2), 'nobody is left that could end it');
    assert.equal(ready(polled), [true, true]);
  });
});

set('parts of a millisecond are waited for, no less', () => {
  scene((polled) => {
    const begun = performance.now();
    for (let i = 0; i < 20; i++) polled.wait(0.3);
    assert.ok(performance.now() - begun >= 6);
  });
});

set.run();

/** What the guardian decides, on a hand-wound clock. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { GuardedVhid } from '../../../src/gate/guardian/messages.ts';
import { decode, encode } from '../../../src/gate/guardian/messages.ts';
import type { GuardAction, GuardEvent, GuardState } from '../../../src/gate/guardian/watchman.ts';
import { createGuard, guardDeadline, stepGuard } from '../../../src/gate/guardian/watchman.ts';

const test = suite('guardian');
const SECOND = 1_000_000;

function vhid(key: string, limitUs: number): GuardedVhid {
  return { key, limitUs, device: { index: 7, name: `carp1-${key}` }, addresses: null, lastWords: [] };
}

class Box {
  readonly state: GuardState = createGuard();
  now = 10 * SECOND;

  feed(event: GuardEvent): string[] {
    return stepGuard(this.state, event, this.now).map(told);
  }

  set(...vhids: GuardedVhid[]): void {
    for (const one of vhids) this.feed({ type: 'message', message: { type: 'set', vhid: one } });
  }

  beat(masters: string[], atUs = this.now): string[] {
    return this.feed({ type: 'message', message: { type: 'beat', atUs, masters } });
  }
}

function told(action: GuardAction): string {
  if (action.type === 'exit') return action.died ? 'exit: died' : 'exit';
  if (action.type === 'clear') return 'clear';
  return action.type === 'fell' ? `fell ${action.keys.join()}` : `${action.type} ${action.vhid.key}`;
}

test('a daemon that is gone: all addresses down first, masters before backups, then words, then the devices', () => {
  const box = new Box();
  box.set(vhid('wan', SECOND), vhid('lan', SECOND));
  box.beat(['lan']);
  assert.equal(box.feed({ type: 'end' }), [
    'clear',
    'down lan',
    'down wan',
    'speak lan',
    'remove wan',
    'remove lan',
    'exit: died',
  ]);
});

test('a goodbye: nothing is touched', () => {
  const box = new Box();
  box.set(vhid('wan', SECOND));
  box.beat(['wan']);
  assert.equal(box.feed({ type: 'message', message: { type: 'bye' } }), ['exit']);
});

test('silence: each vhid falls when its own patience is over, once, and stands again with the next beat', () => {
  const box = new Box();
  box.set(vhid('fast', SECOND / 4), vhid('slow', 3 * SECOND));
  box.beat(['fast', 'slow']);
  box.now += SECOND / 4;
  assert.equal(box.feed({ type: 'tick' }), [], 'not before');
  box.now += 1;
  assert.equal(box.feed({ type: 'tick' }), ['down fast', 'speak fast', 'fell fast']);
  assert.equal(box.feed({ type: 'tick' }), []);
  assert.is(guardDeadline(box.state), 13 * SECOND);
  box.now = 13 * SECOND + 1;
  assert.equal(box.feed({ type: 'tick' }), ['down slow', 'speak slow', 'fell slow']);
  assert.is(guardDeadline(box.state), null);
  box.beat([]);
  box.now += SECOND;
  assert.equal(box.feed({ type: 'tick' }), [], 'what is not master has nothing up that must go in a hurry');
  box.now += 3 * SECOND;
  assert.equal(box.feed({ type: 'tick' }), ['down fast', 'down slow', 'fell fast,slow'], 'and nothing to say');
});

test('a guardian that did not run itself finds the fresh beats and does nothing', () => {
  const box = new Box();
  box.set(vhid('wan', SECOND));
  box.beat(['wan']);
  box.now += 60 * SECOND;
  box.beat(['wan'], box.now - 20_000);
  assert.equal(box.feed({ type: 'tick' }), []);
});

test('when both did not run (the machine slept) the addresses go down: old beats are no sign of life', () => {
  const box = new Box();
  box.set(vhid('wan', SECOND));
  box.beat(['wan']);
  box.now += 60 * SECOND;
  box.beat(['wan'], 10 * SECOND + 20_000);
  assert.equal(box.feed({ type: 'tick' }), ['down wan', 'speak wan', 'fell wan']);
});

test('before the first beat, and for what is no longer configured, nothing falls', () => {
  const box = new Box();
  box.set(vhid('wan', SECOND), vhid('lan', SECOND));
  box.now += 60 * SECOND;
  assert.equal(box.feed({ type: 'tick' }), []);
  box.beat(['wan', 'lan']);
  box.feed({ type: 'message', message: { type: 'drop', key: 'wan' } });
  box.now += 2 * SECOND;
  assert.equal(box.feed({ type: 'tick' }), ['down lan', 'speak lan', 'fell lan']);
  assert.equal(box.feed({ type: 'end' }).includes('down wan'), false);
});

test('what cannot be read is no message', () => {
  assert.equal(decode(encode({ type: 'bye' })), { type: 'bye' });
  assert.is(decode(Buffer.from('{')), null);
  assert.is(decode(Buffer.from('17')), null);
});

test.run();

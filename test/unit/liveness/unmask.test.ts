/** Advertisements that claim to be the peer's, held against what the peer says over the sealed sync link. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { PeerReport } from '../../../src/carp/types.ts';
import { causeText } from '../../../src/contract/words.ts';
import {
  createMask,
  expireMask,
  type Judged,
  type MaskState,
  maskDeadline,
  maskedAdvert,
  maskReport,
  UNMASK,
} from '../../../src/liveness/unmask/machine.ts';

const test = suite('unmasking');
const MS = 1000;
const KEY = 'wan/1';

function report(
  state: 'MASTER' | 'BACKUP' | 'INIT',
  change: Partial<PeerReport> & { advskew?: number } = {},
): PeerReport {
  const { advskew = 0, ...rest } = change;
  return {
    vhids: { [KEY]: { state, advbase: 1, advskew } },
    demotion: 0,
    goingDown: false,
    linkDown: [],
    inStep: true,
    ...rest,
  };
}

class Box {
  readonly state: MaskState = createMask();
  now = 1_000_000;
  passed = 0;
  readonly refused: string[] = [];

  say(what: PeerReport | null): this {
    return this.#take(maskReport(this.state, what, this.now));
  }

  /** The same report ten times a second for a while. */
  steady(what: PeerReport, us = 1_000_000): this {
    for (let at = 0; at < us; at += 100 * MS) {
      this.now += 100 * MS;
      this.say(what);
    }
    return this;
  }

  hear(change: { advbase?: number; advskew?: number; demote?: number; counter?: bigint } = {}): this {
    const advert = { advbase: 1, advskew: 0, demote: 0, counter: 1n, ...change };
    return this.#take(maskedAdvert(this.state, { key: KEY, family: 4, advert, from: '192.0.2.2' }, this.now));
  }

  wait(us: number): this {
    this.now += us;
    return this.#take(expireMask(this.state, this.now));
  }

  #take(judged: Judged[]): this {
    for (const { refused } of judged) {
      if (refused === null) this.passed += 1;
      else this.refused.push(causeText(refused));
    }
    return this;
  }
}

const BOW_OUT = { advbase: 255, advskew: 255 };

test('what the peer says it sends passes at once', () => {
  const box = new Box().steady(report('MASTER')).hear();
  assert.is(box.passed, 1);
  const demoted = new Box()
    .steady(report('MASTER', { advskew: 240, demotion: 300 }))
    .hear({ advskew: 240, demote: 255 });
  assert.is(demoted.passed, 1);
});

test('a recording while the peer is backup: refused with the first report that is newer by a margin', () => {
  const box = new Box().steady(report('BACKUP')).hear();
  assert.is(box.passed, 0);
  box.now += 100 * MS;
  box.say(report('BACKUP'));
  assert.equal(box.refused, [], 'this report may be older than the advert');
  box.now += 100 * MS;
  box.say(report('BACKUP'));
  assert.equal(box.refused, ['the peer says that it is BACKUP']);
  assert.is(box.passed, 0);
});

test('a peer that has just become master: its first advert waits for its report, and counts then', () => {
  const box = new Box().steady(report('BACKUP')).hear();
  box.now += 3 * MS;
  box.say(report('MASTER'));
  assert.is(box.passed, 1);
  assert.equal(box.refused, []);
});

test('a report of the past that overtakes the news does no harm', () => {
  const box = new Box().steady(report('BACKUP')).hear();
  box.now += 40 * MS;
  box.say(report('BACKUP'));
  box.now += 20 * MS;
  box.say(report('MASTER'));
  assert.is(box.passed, 1);
  assert.equal(box.refused, []);
});

test('an advert that was on its way when the peer let go passes: nothing is refused just after a change', () => {
  const box = new Box().steady(report('MASTER')).say(report('BACKUP'));
  box.now += 2 * MS;
  box.hear();
  assert.is(box.passed, 1);
});

test('the sync link falls silent: its last word keeps nothing back', () => {
  const held = new Box().steady(report('BACKUP')).hear();
  assert.is(maskDeadline(held.state), held.now + UNMASK.holdUs);
  held.wait(UNMASK.holdUs);
  assert.is(held.passed, 1);
  assert.is(maskDeadline(held.state), null);
  const stale = new Box()
    .steady(report('BACKUP'))
    .wait(UNMASK.freshUs + 1)
    .hear();
  assert.is(stale.passed, 1);
  const gone = new Box().steady(report('BACKUP')).hear().say(null);
  assert.is(gone.passed, 1);
});

test('forged timers with a recorded digest: skew, base and demotion must be what the peer says', () => {
  for (const forged of [{ advskew: 100 }, { advbase: 0 }, { demote: 200 }]) {
    const box = new Box()
      .steady(report('MASTER'))
      .hear(forged)
      .steady(report('MASTER'), 300 * MS);
    assert.is(box.passed, 0);
    assert.is(box.refused.length, 1);
    assert.match(box.refused.join(), /^it says .*, the peer says that it sends 1\/0 demotion 0$/);
  }
});

test('a bow-out: refused while the peer goes on as master, believed when it goes or has just gone', () => {
  const forged = new Box()
    .steady(report('MASTER'))
    .hear(BOW_OUT)
    .steady(report('MASTER'), 300 * MS);
  assert.equal(forged.refused, ['a bow-out, but the peer says that it is MASTER']);
  const leaving = new Box().steady(report('MASTER')).hear(BOW_OUT);
  leaving.now += 5 * MS;
  leaving.say(report('INIT'));
  assert.is(leaving.passed, 1);
  const stopping = new Box().steady(report('MASTER', { goingDown: true })).hear(BOW_OUT);
  assert.is(stopping.passed, 1);
  const old = new Box()
    .steady(report('BACKUP'), 3_000_000)
    .hear(BOW_OUT)
    .steady(report('BACKUP'), 300 * MS);
  assert.is(old.refused.length, 1);
});

test('a vhid that the peer does not speak of is not judged; a flood stays bounded', () => {
  const box = new Box().steady(report('BACKUP'));
  box.state.said.clear();
  assert.is(box.hear().passed, 1);
  const flood = new Box().steady(report('BACKUP'));
  for (let i = 0; i < 10_000; i++) flood.hear();
  assert.ok(flood.state.held.length <= 64);
});

test.run();

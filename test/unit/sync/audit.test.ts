/** Reading the kernel's table again after lost events: when it may begin, and what it must not believe. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { netlink } from '../../../scripts/reference/ctmsg.ts';
import { event, listAll, makeEngine } from '../../../scripts/reference/harness.ts';
import { randomSource, randomState } from '../../../scripts/reference/state.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';
import { Audit } from '../../../src/sync/worker/audit.ts';

const test = suite('audit after lost events');

const DONE = 3;
const MULTI = 2;
const state = randomState(randomSource(5), 100);

function make(): { engine: Engine; audit: Audit; asked: number[]; unsure: boolean[] } {
  const engine = makeEngine({ syncWhen: 'all' });
  const asked: number[] = [];
  const unsure: boolean[] = [];
  const audit = new Audit(engine, {
    requestDump: (sequence) => void asked.push(sequence),
    unsure: (now) => void unsure.push(now),
  });
  return { engine, audit, asked, unsure };
}

/** The kernel answers with an empty table; the last request, if no other is named. */
function answer({ engine, audit, asked }: ReturnType<typeof make>, seq = asked.at(-1) ?? 0): void {
  const end = netlink(DONE, { seq, flags: MULTI }, [Buffer.alloc(4)]);
  engine.view().set(end, engine.areas.netlink.offset);
  audit.take(engine.areas.netlink.offset, end.length);
}

function finish(audit: Audit, now: number): void {
  for (let i = 0; i < 10 && audit.closing(); i++) audit.step(now);
}

test('what was read after the overrun, and had ended with what was lost, is found to be gone', () => {
  const world = make();
  const { engine, audit, asked, unsure } = world;
  audit.lost();
  assert.equal(unsure, [true], 'from now on this node does not know its own table');
  assert.equal(asked, [], 'older events still wait');
  event(engine, state);
  audit.drained(10);
  assert.is(asked.length, 1);
  answer(world);
  finish(audit, 20);
  assert.equal(listAll(engine), []);
  assert.equal(unsure.at(-1), false);
  assert.is(audit.corrections, 1);
});

test('negative control: a dump that begins before they are read believes them', () => {
  const world = make();
  const { engine, audit } = world;
  audit.begin('audit', 0);
  event(engine, state);
  answer(world);
  finish(audit, 20);
  assert.is(listAll(engine).length, 1);
});

test('the end of a dump that was asked for again does not end the new one', () => {
  const world = make();
  const { engine, audit, asked } = world;
  event(engine, state);
  audit.begin('audit', 0);
  audit.step(1);
  audit.step(6000);
  assert.equal(asked, [1, 2], 'it made no progress');
  answer(world, 1);
  finish(audit, 6010);
  assert.ok(audit.running());
  assert.is(listAll(engine).length, 1, 'nothing is taken for gone');
  answer(world, 2);
  finish(audit, 6020);
  assert.is(audit.finished, 1);
  assert.equal(listAll(engine), [], 'by the new one it is');
});

test('an audit that runs does not end while lost events wait, and is made again', () => {
  const world = make();
  const { audit, asked, unsure } = world;
  audit.begin('audit', 0);
  answer(world);
  audit.lost();
  finish(audit, 50);
  assert.is(audit.finished, 0);
  audit.drained(60);
  for (let now = 60; now < 400; now += 50) {
    finish(audit, now);
    if (audit.running()) answer(world);
  }
  assert.is(asked.length, 2);
  assert.is(audit.finished, 1);
  assert.is(unsure.at(-1), false);
});

test('whoever asks for an audit meanwhile gets it when the events are read', () => {
  const world = make();
  const { audit, asked } = world;
  audit.lost();
  audit.begin('audit', 0);
  assert.ok(audit.busy());
  assert.equal(asked, []);
  audit.drained(1);
  audit.drained(2);
  assert.is(asked.length, 1, 'once');
});

test('the walk after a dump waits for no timer, unless something else must come first', () => {
  const world = make();
  const { audit } = world;
  assert.is(audit.deadline(5), Number.POSITIVE_INFINITY, 'nothing to do');
  audit.begin('audit', 0);
  assert.is(audit.deadline(5), Number.POSITIVE_INFINITY, "the kernel's answer wakes the loop");
  answer(world);
  assert.is(audit.deadline(5), 5);
  audit.lost();
  assert.is(audit.deadline(5), Number.POSITIVE_INFINITY, 'older events wait');
  audit.drained(6);
  assert.is(audit.deadline(6), 100, 'the next dump is not asked for at once');
});

test.run();

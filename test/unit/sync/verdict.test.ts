/** A verdict of the peer counts only for what this node owned when it asked. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { forgetVerdicts, onVerdict } from '../../../src/sync/session/compare.ts';
import type { SyncState } from '../../../src/sync/session/state.ts';
import { createSync } from '../../../src/sync/session/state.ts';

const test = suite('verdicts');

const say = (state: SyncState, seq: number): void =>
  onVerdict(state, { type: 'verdict', verdict: { seq, equal: true, missing: 0 } });

test('a verdict on a digest from before this node took over more states says nothing', () => {
  const state = createSync('00');
  state.txSeq = 5;
  say(state, 5);
  assert.is(state.ownCompared?.equal, true);
  forgetVerdicts(state);
  say(state, 5);
  assert.is(state.ownCompared, null);
  state.txSeq = 6;
  say(state, 6);
  assert.is(state.ownCompared?.equal, true);
});

test.run();

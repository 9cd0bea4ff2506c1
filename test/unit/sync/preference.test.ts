/** Whose word counts for a state that both nodes claim: never may both give in. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stepSync } from '../../../src/sync/session/machine.ts';
import { preference, preferenceTimers } from '../../../src/sync/session/ownership.ts';
import type { Context, SyncAction, SyncState } from '../../../src/sync/session/state.ts';
import { createSync, TIMING } from '../../../src/sync/session/state.ts';

const test = suite('preference');

function node(junior: boolean, masterAny: boolean, peerMasterAny: boolean, steppedDownAt: number | null): SyncState {
  return Object.assign(createSync('00'), { junior, masterAny, peerMasterAny, steppedDownAt });
}

function givesIn(state: SyncState, now: number): boolean | undefined {
  const actions: SyncAction[] = [];
  preference(state, now, actions);
  const [action] = actions;
  return action?.type === 'prefer' ? action.peer : undefined;
}

const EITHER = [true, false];

test('when both know the roles exactly one gives in', () => {
  for (const one of EITHER) {
    for (const other of EITHER) {
      const [senior, junior] = [node(false, one, other, null), node(true, other, one, null)];
      assert.is(givesIn(senior, 0), !givesIn(junior, 0), `senior ${one}, junior ${other}`);
    }
  }
});

test('while the peer has not heard that this node stopped to lead, not both give in; afterwards one does', () => {
  for (const stoppedIsJunior of EITHER) {
    for (const other of EITHER) {
      const stopped = node(stoppedIsJunior, false, other, 1000);
      const believes = node(!stoppedIsJunior, other, true, null);
      assert.not.ok(givesIn(stopped, 1001) && givesIn(believes, 1001), `junior ${stoppedIsJunior}, other ${other}`);
      const later = 1000 + TIMING.unheard;
      const actions: SyncAction[] = [];
      preferenceTimers(stopped, later, actions);
      believes.peerMasterAny = false;
      const now = actions[0]?.type === 'prefer' ? actions[0].peer : undefined;
      assert.is(now, !givesIn(believes, later));
    }
  }
});

test('negative control: without the wait both give in', () => {
  const stopped = node(false, false, true, null);
  const believes = node(true, true, true, null);
  assert.ok(givesIn(stopped, 1001) && givesIn(believes, 1001));
});

test('what counted while the peer was heard does not outlive it', () => {
  const state = Object.assign(node(true, true, true, null), { open: true, alive: true, heardAt: 0 });
  const counts = { own: 0, mirrored: 0, unclaimed: 0, dirty: 0, missing: 0, unsure: false };
  const context = { now: TIMING.dead, nonce: '11', counts } as unknown as Context;
  const said = stepSync(state, { type: 'tick' }, context).filter((action) => action.type === 'prefer');
  assert.is(state.peerMasterAny, null);
  assert.equal(said, [{ type: 'prefer', peer: false }]);
});

test.run();

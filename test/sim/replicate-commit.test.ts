/**
 * The replica's commit: random interleavings of pushes, confirmations, aborts, losses and time. Whatever happens, what
 * is in force is either what was confirmed or, for a bounded time, what waits for it.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { random } from '../../scripts/sim/worlds/sync-world.ts';
import { type CommitEvent, type CommitState, freshCommit, stepCommit } from '../../src/replicate/commit.ts';

const commit = suite('sim: commit of a push');
const CONFIRM_MS = 3000;

/** A replica with a disk and a kernel, as replica.ts drives them. */
class World {
  now = 0;
  state: CommitState = freshCommit();
  /** Ids: what is in the kernel, what is committed on disk, what is staged. */
  kernel = 'first';
  disk = 'first';
  staged: string | null = null;
  before = 'first';
  answers: string[] = [];
  confirmed: string[] = [];
  readonly broken: boolean;

  /** @param broken the negative control: time never undoes anything */
  constructor(broken = false) {
    this.broken = broken;
  }

  feed(event: CommitEvent): void {
    if (this.broken && event.type === 'tick') return;
    const { state, actions } = stepCommit(this.state, event, this.now);
    this.state = state;
    for (const action of actions) {
      this.answers.push(action.type);
      if (action.type === 'apply') {
        this.staged = action.id;
        this.before = this.kernel;
      }
      if (action.type === 'commit') {
        this.disk = this.staged ?? this.disk;
        this.staged = null;
        this.confirmed.push(action.id);
      }
      if (action.type === 'discard') this.staged = null;
      if (action.type === 'undo') {
        this.kernel = this.before;
        this.staged = null;
        this.feed({ type: 'undone' });
      }
    }
  }

  /** Death and start: only the disk is left. */
  crash(): void {
    this.state = freshCommit();
    this.staged = null;
    this.kernel = this.disk;
  }

  applied(ok: boolean): void {
    if (this.state.phase !== 'applying') return;
    if (ok) this.kernel = this.state.id;
    this.feed({ type: 'applied', error: ok ? null : 'the kernel refuses' });
  }
}

function live(world: World, next: () => number, steps: number): number {
  let waitingSince: number | null = null;
  let longest = 0;
  for (let i = 0; i < steps; i++) {
    const id = `p${Math.floor(next() * 4)}-${Math.floor(i / 6)}`;
    const [kind, current] = [next(), 'id' in world.state ? world.state.id : id];
    const chosen = next() < 0.7 ? current : id;
    if (kind < 0.2) world.feed({ type: 'apply', id, confirmMs: CONFIRM_MS });
    else if (kind < 0.45) world.applied(next() < 0.8);
    else if (kind < 0.6) world.feed({ type: 'confirm', id: chosen });
    else if (kind < 0.68) world.feed({ type: 'abort', id: chosen, reason: 'other hash' });
    else if (kind < 0.7) world.crash();
    else
      for (let t = next() * 2500; t > 0; t -= 100) {
        world.now += 100;
        world.feed({ type: 'tick' });
      }
    const unproven = world.kernel !== world.disk;
    if (!unproven) waitingSince = null;
    else waitingSince ??= world.now;
    if (waitingSince !== null) longest = Math.max(longest, world.now - waitingSince);
    if (world.state.phase === 'idle') assert.is(world.kernel, world.disk, `step ${i}`);
    assert.ok(world.disk === 'first' || world.confirmed.includes(world.disk));
  }
  return longest;
}

commit('500 lives: nothing unconfirmed stays longer than the time to confirm', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const longest = live(new World(), random(seed), 200);
    assert.ok(longest <= CONFIRM_MS + 100, `seed ${seed}: ${longest} ms`);
  }
});

commit('without the clock it would stay: the test can see it', () => {
  const longest = Math.max(
    ...[1, 2, 3, 4, 5].map((seed) => {
      try {
        return live(new World(true), random(seed), 200);
      } catch {
        return Number.POSITIVE_INFINITY;
      }
    }),
  );
  assert.ok(longest > CONFIRM_MS + 100);
});

commit('a confirmation may come twice, and one that comes too late is refused', () => {
  const world = new World();
  world.feed({ type: 'apply', id: 'a', confirmMs: CONFIRM_MS });
  world.applied(true);
  world.feed({ type: 'confirm', id: 'a' });
  world.feed({ type: 'confirm', id: 'a' });
  assert.equal(world.answers, ['apply', 'stands', 'commit', 'accept', 'accept']);
  world.feed({ type: 'apply', id: 'b', confirmMs: CONFIRM_MS });
  world.feed({ type: 'apply', id: 'c', confirmMs: CONFIRM_MS });
  world.applied(true);
  world.now += CONFIRM_MS;
  world.feed({ type: 'confirm', id: 'b' });
  assert.equal(world.answers.slice(5), ['apply', 'refuse', 'stands', 'refuse', 'undo']);
  assert.equal([world.kernel, world.disk, world.staged], ['a', 'a', null]);
});

commit('an abort while it is being applied undoes it as soon as it stands', () => {
  const world = new World();
  world.feed({ type: 'apply', id: 'a', confirmMs: CONFIRM_MS });
  world.feed({ type: 'abort', id: 'a', reason: 'no' });
  world.applied(true);
  assert.equal(world.answers, ['apply', 'accept', 'refuse', 'undo']);
  assert.is(world.kernel, 'first');
});

commit.run();

/** The histogram of slices: each falls into the first bound it does not exceed, and nothing is lost. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SLICE_BOUNDS, SLICE_PLACES, Slices } from '../../../src/sync/worker/slices.ts';

const slices = suite('slices');

slices('bounds belong to the count below them, what is beyond all has its own', () => {
  const stats = new Float64Array(SLICE_PLACES + 4);
  const histogram = new Slices(stats, 2);
  for (const ms of [0, 0.5, 0.6, 5, 5.01, 1000]) histogram.add(ms);
  const places = [...stats.subarray(2, 2 + SLICE_PLACES)];
  assert.equal(places.slice(0, -1), [2, 1, 0, 1, 1, 0, 0, 1]);
  assert.is(places.at(-1), 0 + 0.5 + 0.6 + 5 + 5.01 + 1000);
  assert.is(places.length, SLICE_BOUNDS.length + 2);
  assert.equal([stats[0], stats[1], stats.at(-1)], [0, 0, 0], 'nothing beside its places');
});

slices.run();

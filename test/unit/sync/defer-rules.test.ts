/** The rules of `defer` are put in, mended and taken away without anybody waiting for them; what is missing is said. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DeferRuleKeeper } from '../../../src/sync/control/defer-rules.ts';

const rules = suite('rules of defer');

function scene() {
  const world = {
    there: false,
    puts: 0,
    refuse: null as string | null,
    said: [] as unknown[],
    warnings: [] as string[],
  };
  const held: (() => void)[] = [];
  const side = new DeferRuleKeeper(
    {
      put: () =>
        new Promise((resolve, reject) => {
          world.puts += 1;
          held.push(() => {
            if (world.refuse !== null) return reject(new Error(world.refuse));
            world.there = true;
            resolve();
          });
        }),
      there: () => world.there,
      remove: async () => {
        world.there = false;
        return null;
      },
    },
    {
      notice: ({ kind, ...fields }) => world.said.push([kind, fields]),
      warn: (message) => world.warnings.push(message),
    },
  );
  const nft = async (): Promise<void> => {
    held.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { world, side, nft };
}

rules('put in at the start, mended once at a time, gone at the end', async () => {
  const { world, side, nft } = scene();
  const begun = side.begin(true);
  await nft();
  await begun;
  side.restore();
  assert.is(world.puts, 1, 'they are there');
  world.there = false;
  side.restore();
  side.restore();
  assert.is(world.puts, 2, 'nft runs already');
  const closed = side.close();
  await nft();
  await closed;
  assert.is(world.there, false, 'what was being put in is taken away, too');
  side.restore();
  assert.is(world.puts, 2);
  assert.equal(world.said, []);
});

rules('what nft refuses is said once, and that it works again', async () => {
  const { world, side, nft } = scene();
  world.refuse = 'this kernel has neither nft_queue nor xt_NFQUEUE';
  const begun = side.begin(true);
  await nft();
  await begun;
  side.restore();
  await nft();
  world.refuse = null;
  side.restore();
  await nft();
  assert.equal(world.said, [
    ['sync.defer', { on: false, reason: 'this kernel has neither nft_queue nor xt_NFQUEUE' }],
    ['sync.defer', { on: true, reason: null }],
  ]);
  await side.close();
});

rules('without defer only what a killed run has left is removed', async () => {
  const { world, side } = scene();
  world.there = true;
  await side.begin(false);
  side.restore();
  assert.equal([world.there, world.puts], [false, 0]);
});

rules.run();

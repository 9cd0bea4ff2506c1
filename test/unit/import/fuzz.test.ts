/** Broken and shuffled samples: never an exception, and whatever comes out loads and passes nft. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../../src/config/load.ts';
import { formatError } from '../../../src/config/problem.ts';
import { importConfig } from '../../../src/import/import.ts';
import { nftSays, noNft, type Sample, samples } from './samples/lib.ts';
import { broken, randomFrom, shuffled, textOf, treeOf } from './samples/mutate.ts';

const fuzz = suite('import: broken input');
const ROUNDS = 150;
/** nft takes some ten ms for each. */
const NFT_EVERY = 10;

function tryOne(one: Sample, text: string, seed: string, askNft: boolean): boolean {
  const result = importConfig(one.kind, text, 'f');
  if (!result.ok) {
    assert.match(result.error, /^f:\d+: [^\n]+$/, seed);
    return false;
  }
  const toml = result.toml({ secrets: true, rulesPath: '/dev/null' });
  const loaded = parseConfig(toml, 'f.toml');
  assert.ok(loaded.ok, `${seed}: ${loaded.ok ? '' : loaded.errors.map(formatError).join('\n')}\n${toml}`);
  if (askNft && loaded.ok && result.nft !== null) {
    assert.is(nftSays(result.nft, loaded.config.interfaces), null, `${seed}\n${result.nft}`);
  }
  return true;
}

const skipNft = noNft();
if (skipNft) console.log(`skip: ${skipNft}`);

for (const one of samples()) {
  fuzz(`${one.name}: text broken at random`, () => {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const text = broken(one.text, randomFrom(seed));
      tryOne(one, text, `${one.name} broken ${seed}`, !skipNft && seed % NFT_EVERY === 0);
    }
  });

  fuzz(`${one.name}: values and names shuffled`, () => {
    let taken = 0;
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const tree = treeOf(one);
      shuffled(tree, randomFrom(seed));
      taken += Number(
        tryOne(one, textOf(tree, one.kind), `${one.name} shuffled ${seed}`, !skipNft && seed % NFT_EVERY === 0),
      );
    }
    assert.ok(taken > ROUNDS / 2, `only ${taken} of ${ROUNDS} got past the reader: this tests nothing`);
  });
}

fuzz.run();

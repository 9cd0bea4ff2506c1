/** The house keeps its own rules; `npm run tidy` prints the same list. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lineOf, RULES } from '../../scripts/tidy/rules.ts';
import { readTree } from '../../scripts/tidy/tree.ts';

const house = suite('tidy: the house');
const tree = readTree(new URL('../..', import.meta.url).pathname);

for (const [name, rule] of Object.entries(RULES)) {
  house(name, () => assert.equal(rule(tree).map(lineOf), []));
}

house.run();

/** Prints what breaks a rule of the house: `npm run tidy [-- PATH]`. Exit 0 when nothing does. */
import { lineOf, RULES } from './rules.ts';
import { readTree } from './tree.ts';

const below = process.argv[2] ?? '';
const tree = readTree(new URL('../..', import.meta.url).pathname);
let count = 0;
for (const [name, rule] of Object.entries(RULES)) {
  const findings = rule(tree).filter(({ path }) => path.startsWith(below));
  count += findings.length;
  process.stdout.write(`${name}: ${findings.length === 0 ? 'yes' : findings.length}\n`);
  for (const finding of findings) process.stdout.write(`  ${lineOf(finding)}\n`);
}
process.exitCode = count === 0 ? 0 : 1;

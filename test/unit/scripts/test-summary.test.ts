import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ending, judge, lastLine } from '../../../scripts/lib/test-summary.ts';

const summary = suite('test summary');
const fine: Ending = { code: 0, signal: null, timedOutAfter: null };
const uvu = (total: number, passed: number, skipped = 0): string =>
  ` x •  (${passed} / ${total})\n\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  1.00ms\n\n`;

summary('counts what uvu printed, coloured or not', () => {
  const esc = String.fromCharCode(27);
  const coloured = uvu(3, 3).replace('  Passed', `${esc}[32m\n  Passed`);
  for (const text of [uvu(3, 3), coloured]) {
    const result = judge('a', text, fine, 1);
    assert.is(result.passed, 3);
    assert.is(result.failed, 0);
  }
});

summary('several summaries of one file add up', () => {
  const result = judge('a', uvu(2, 2) + uvu(3, 1), { ...fine, code: 1 }, 1);
  assert.is(result.passed, 3);
  assert.is(result.failed, 2);
  assert.is(result.trouble, null);
});

summary('a file without a summary is a failure, whatever its exit code', () => {
  assert.is(judge('a', '', fine, 1).failed, 1);
  assert.is(judge('a', 'TypeError: x', { ...fine, code: 1 }, 1).failed, 1);
});

summary('a crash after all tests passed is a failure', () => {
  const result = judge('a', uvu(4, 4), { ...fine, code: 1 }, 1);
  assert.is(result.passed, 4);
  assert.is(result.failed, 1);
});

summary('a time limit and a signal are failures', () => {
  assert.match(judge('a', uvu(1, 1), { code: null, signal: 'SIGKILL', timedOutAfter: 120 }, 1).trouble!, /120 s/);
  assert.is(judge('a', uvu(1, 1), { code: null, signal: 'SIGSEGV', timedOutAfter: null }, 1).failed, 1);
});

summary('a skip names its reason; a skip without one is told as such', () => {
  const whole = judge('a', 'skip: no conntrack tool here\n', fine, 1);
  assert.equal([whole.skipped, whole.failed, whole.skipReasons], [1, 0, ['no conntrack tool here']]);
  const silent = judge('a', uvu(1, 1, 2), fine, 1);
  assert.is(silent.skipped, 2);
  assert.match(silent.skipReasons[0]!, /no reason given/);
});

summary('the last line', () => {
  const results = [judge('a', uvu(3, 2), { ...fine, code: 1 }, 1), judge('b', uvu(1, 1), fine, 1)];
  assert.is(lastLine(results), '3 passed, 1 failed');
  assert.is(lastLine([...results, judge('c', 'skip: x', fine, 1)]), '3 passed, 1 failed, 1 skipped');
});

summary.run();

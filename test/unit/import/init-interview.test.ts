import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { interview } from '../../../src/import/init/interview.ts';
import { type Answers, makePlan } from '../../../src/import/init/plan.ts';

const asked = suite('carpio init: questions');

function person(lines: (string | null)[]) {
  const prompts: string[] = [];
  const said: string[] = [];
  const ask = (prompt: string) => {
    prompts.push(prompt);
    return Promise.resolve(lines.shift() ?? null);
  };
  return { prompts, said, run: (given: Answers) => interview(given, ask, (line) => said.push(line)) };
}

asked(
  'asks for what is missing only, again when an answer cannot be, and takes empty ones where they may be',
  async () => {
    const { prompts, said, run } = person(['', 'fw a', ' fw-a ', 'eth1', '', '192.168.1.1', '192.168.1.1/24', '']);
    const answers = await run({ wan: 'eth0', 'wan-vip': '203.0.113.1/24' });
    assert.equal(answers, {
      wan: 'eth0',
      'wan-vip': '203.0.113.1/24',
      name: 'fw-a',
      lan: 'eth1',
      sync: '',
      'lan-vip': '192.168.1.1/24',
      advskew: '',
    });
    assert.is(prompts.length, 8);
    assert.match(said.join('\n'), /this one is needed\nallowed 1 to 63.*\nallowed addresses with prefix/);
    const made = makePlan(answers!);
    assert.ok(made.ok);
    if (made.ok) assert.equal([made.plan.sync, made.plan.peer, made.plan.advskew], [null, null, 0]);
  },
);

asked('asks for the peer only when there is a sync link', async () => {
  const given = { name: 'a', wan: 'eth0', lan: 'eth1', 'wan-vip': '203.0.113.1/24', 'lan-vip': '192.168.1.1/24' };
  const { run } = person(['eth2', '10.99.0.2', '100']);
  const answers = await run(given);
  assert.equal([answers?.sync, answers?.peer, answers?.advskew], ['eth2', '10.99.0.2', '100']);
});

asked('the end of the input, or five wrong answers, end it', async () => {
  assert.is(await person([null]).run({}), null);
  assert.is(await person(['', '', '', '', '', 'late']).run({}), null);
});

asked.run();

/** The words of events: one sentence a kind, made of the cause; and what is told to other versions. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Cause } from '../../../src/contract/causes.ts';
import type { NodeEvent } from '../../../src/contract/events.ts';
import { causeText, tell, toldLine } from '../../../src/contract/words.ts';

const words = suite('contract: words');

const own = { advbase: 1, advskew: 100, demote: 0 };
const heard = { advbase: 1, advskew: 0, demote: 0 };

words('a role change: the fields stay, the words are made of the cause', () => {
  const event: NodeEvent = {
    kind: 'carp.state',
    vhid: 1,
    interface: 'wan',
    from: 'BACKUP',
    to: 'MASTER',
    cause: { why: 'silence', silent_ms: 3390 },
  };
  assert.equal(tell(event), {
    ...event,
    reason: 'no advert for 3390 ms',
    text: 'vhid 1 on wan: BACKUP -> MASTER (no advert for 3390 ms)',
  });
});

words('the better side stands first, whoever it is', () => {
  const both = { from: '10.0.0.1', own, heard };
  const cases: [Cause, string][] = [
    [{ why: 'better_advert', by: 'timers', ...both }, 'better advert from 10.0.0.1 (1/0 < 1/100)'],
    [
      { why: 'better_advert', by: 'tie', ...both, own: heard },
      'better advert from 10.0.0.1 (1/0 = 1/0, lower address)',
    ],
    [
      { why: 'worse_advert', by: 'demotion', from: '10.0.0.1', own, heard: { ...heard, demote: 240 }, together: true },
      'worse advert from 10.0.0.1 (demotion 0 < 240), together with the other vhids',
    ],
  ];
  for (const [cause, text] of cases) assert.is(causeText(cause), text);
});

words('a counter by name is no cause: its own reason stays', () => {
  const told = tell({ kind: 'peer.refused', cause: 'bad_hello', from: '10.0.0.1', reason: 'speaks format 2' });
  assert.is(told.reason, 'speaks format 2');
  assert.match(told.text ?? '', '10.0.0.1 refused (bad_hello): speaks format 2');
});

words('an event without a sentence, of another version, shows its fields', () => {
  assert.is(toldLine({ kind: 'new.kind', a: 1, b: 'x', none: null, o: { p: [1] } }), 'new.kind a=1 b=x o={"p":[1]}');
  assert.is(toldLine(tell({ kind: 'node.reload' })), 'configuration reloaded');
});

words.run();

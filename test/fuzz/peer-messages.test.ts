/** Whatever text a peer gone mad sends: an answer or a named refusal, never an exception, never slow. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { random } from '../../scripts/sim/worlds/sync-world.ts';
import { PEER_LIMITS } from '../../src/channel/limits.ts';
import { decodeMessage, encodeMessage, errorText, type PeerMessage } from '../../src/channel/message.ts';

const messages = suite('fuzz: peer messages');

const GOOD: PeerMessage[] = [
  { t: 'hello', v: 1, node: 'fw-a', version: '0.1.0', boot: '0123456789abcdef' },
  { t: 'call', id: 1, name: 'replicate.plan', ms: 5000, body: { a: [1, 'two', null, true] } },
  { t: 'answer', id: 1, ok: true, body: 'x' },
  { t: 'answer', id: 2, ok: false, error: 'no' },
];

messages('what is encoded is decoded again', () => {
  for (const message of GOOD) {
    const decoded = decodeMessage(encodeMessage(message) ?? '');
    assert.equal(decoded, { ok: true, message });
  }
});

messages('20,000 damaged messages: each is read or refused by name', () => {
  const next = random(240);
  const counts: Record<string, number> = {};
  for (let i = 0; i < 20_000; i++) {
    const text = [...(encodeMessage(GOOD[i % GOOD.length]!) ?? '')];
    for (let n = 1 + Math.floor(next() * 4); n > 0; n--) {
      const at = Math.floor(next() * text.length);
      const sign = String.fromCharCode(Math.floor(next() * 128));
      const kind = next();
      if (kind < 0.4) text[at] = sign;
      else if (kind < 0.7) text.splice(at, Math.floor(next() * 8));
      else text.splice(at, 0, sign);
    }
    const decoded = decodeMessage(text.join(''));
    const key = decoded.ok ? decoded.message.t : decoded.cause;
    counts[key] = (counts[key] ?? 0) + 1;
    if (decoded.ok && decoded.message.t === 'call') assert.ok(decoded.message.ms >= 1 && decoded.message.ms <= 60_000);
  }
  assert.ok((counts.malformed ?? 0) > 10_000, JSON.stringify(counts));
  assert.ok((counts.unknown ?? 0) > 100 && (counts.call ?? 0) > 100, JSON.stringify(counts));
});

messages('values of every kind in every place', () => {
  const odd = [null, true, -1, 0, 1.5, 1e300, '', 'x'.repeat(1000), [], {}, { __proto__: null }, [[[]]], '\u0000'];
  for (const message of GOOD) {
    const fields = Object.keys(JSON.parse(encodeMessage(message) ?? ''));
    for (const field of fields) {
      for (const value of odd) {
        const decoded = decodeMessage(JSON.stringify({ v: 1, ...message, [field]: value }));
        if (!decoded.ok) assert.ok(decoded.why.length < 300 && !decoded.why.includes('\n'), decoded.why);
      }
    }
  }
});

messages('a body of nothing but brackets, as long as a message may be', () => {
  const depth = PEER_LIMITS.message / 2 - 100;
  const text = `{"v":1,"t":"call","id":1,"name":"x","ms":1,"body":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  const decoded = decodeMessage(text);
  assert.ok(decoded.ok || decoded.cause === 'malformed');
});

messages('an error is one bounded line, whatever was thrown', () => {
  for (const thrown of [new Error('a\r\n\tb'), 'text', 17, null, undefined, new Error('x'.repeat(5000)), {}]) {
    const text = errorText(thrown);
    assert.ok(text.length >= 1 && text.length <= PEER_LIMITS.text && !/\p{Cc}/u.test(text), text);
  }
});

messages.run();

/**
 * Somebody on the LAN with a recording of the peer's advertisements: played again as they are, with other timers, from
 * other addresses, in bursts, while the sync link is dead, after the master's death. CARP's HMAC covers neither timers
 * nor source, and nobody else judges its counter; between two Carpio boxes each advertisement proves itself there.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import type { FirewallName } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { fromAddress, play, whole, withTimers } from './lib/replay.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const FW_A = '10.77.1.2';
const NOBODY = '10.77.1.99';
const attack = suite('attack: recorded advertisements');
let stage: Stage;
let recorded: Buffer[];
prepare(attack, async () => {
  stage = await setUpStage({ connections: 50 });
  const wire = await Sniffer.start(stage.lab, 'client', 'eth0');
  const own = () => wire.adverts(2).filter((advert) => advert.family === 4 && advert.from === FW_A);
  const { value } = await until('adverts of fw-a', () => own().length >= 4 && own(), { withinMs: 8000 });
  recorded = value.map(whole);
  wire.stop();
});
leaveWhenDone(attack);
const promise = onStage(attack, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const roles = ({ watch }: Stage): unknown =>
  (['fw-a', 'fw-b'] as const).map((name) => watch.latest[name]?.carp.vips.map((vip) => [vip.state, vip.since]));
const unproven = ({ watch }: Stage, name: FirewallName = 'fw-b'): number =>
  watch.latest[name]?.carp.counters.unproven ?? 0;

/** Plays frames; nothing may change but the counter. */
async function refused(on: Stage, frames: readonly Buffer[], by: FirewallName = 'fw-b'): Promise<void> {
  const [before, count] = [roles(on), unproven(on, by)];
  await play(on.lab, 'client', 'eth0', frames);
  await on.watch.until('all of them to be counted', () => unproven(on, by) >= count + frames.length, 5000);
  assert.is(unproven(on, by), count + frames.length);
  assert.equal(roles(on), before);
  assert.equal(on.watch.violations, []);
}

const one = (): Buffer => recorded.at(-1) ?? Buffer.alloc(0);
const times = (count: number, frame: Buffer): Buffer[] => Array.from({ length: count }, () => frame);

promise('both know by the sealed link that the other proves its adverts', ({ pair }) => {
  for (const name of ['fw-a', 'fw-b'] as const) assert.is(logged(pair[name], 'carp.proof')[0]?.on, true, name);
  return Promise.resolve();
});

promise('as it was: refused, whoever hears it', (on) => refused(on, recorded));

promise('a forged bow-out of the living master: no take-over', (on) =>
  refused(on, times(10, withTimers(one(), 255, 255))),
);

promise('the event says who and why, once and not ten times', ({ pair }) => {
  const events = logged(pair['fw-b'], 'carp.refused').filter((event) => event.counter === 'unproven');
  assert.is(events.length, 1);
  assert.is(events[0]?.from, FW_A);
  assert.match(String(events[0]?.reason), /forged, or played again/);
  return Promise.resolve();
});

promise('from an address that is no node, with the best timers there are: the master stays', (on) =>
  refused(on, times(10, withTimers(fromAddress(one(), NOBODY), 0, 0)), 'fw-a'),
);

promise('in a burst of 300 with the own address of the peer: each one is refused', (on) =>
  refused(on, [...times(150, withTimers(one(), 1, 240)), ...times(150, withTimers(one(), 255, 255))]),
);

promise(
  'a planned hand-over and the way back: real adverts are proven at once, recordings of the old master are not',
  async (on) => {
    const { pair, watch } = on;
    const [a, b] = [unproven(on, 'fw-a'), unproven(on, 'fw-b')];
    await pair['fw-a'].ask('maintenance', { on: true });
    await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
    assert.is(unproven(on, 'fw-b'), b);
    await refused(on, times(5, one()));
    await pair['fw-a'].ask('maintenance', { on: false });
    await watch.until('fw-a to be master again', settled, 10_000);
    assert.is(unproven(on, 'fw-a'), a);
  },
);

promise('the sync cable is cut: the proof holds without it', async (on) => {
  const { lab, watch } = on;
  await lab.cut('fw-a', 'sync');
  await watch.until('the peer to be silent', (s) => s['fw-b']?.sync?.peer.alive === false, 10_000);
  await pause(1500); // a recording of a second ago: what the unmasking of earlier versions let pass
  await refused(on, [...recorded, ...times(5, withTimers(one(), 255, 255)), fromAddress(one(), NOBODY)]);
});

promise('the sync cable is cut and a daemon starts again: it believes its peer, and no recording', async (on) => {
  const { lab, pair, watch } = on;
  await pair['fw-b'].stop();
  await pair['fw-b'].start();
  await watch.until('fw-b to be backup', isBackup('fw-b'), 10_000);
  await refused(on, times(3, one()));
  assert.ok(isMaster('fw-a')(watch.latest));
  await lab.heal('fw-a', 'sync');
  await watch.until('fw-a master, both in step', settled, 30_000);
});

promise('the master is dead, and its recordings go on: the backup leads in its time, and stays', async (on) => {
  const { lab, pair, traffic, watch } = on;
  await traffic.mark();
  await pair['fw-a'].powerOff();
  const begun = performance.now();
  const storm = (async () => {
    while (performance.now() - begun < 6000) {
      await play(lab, 'client', 'eth0', [...recorded, fromAddress(one(), NOBODY)]);
      await pause(100);
    }
  })();
  const ms = await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await traffic.arm();
  await storm;
  assert.ok(isMaster('fw-b')(watch.latest));
  const { gap_ms } = await traffic.probe.ask<{ gap_ms: number }>('report');
  process.stdout.write(`fw-b leads after ${ms.toFixed(0)} ms, the longest gap is ${gap_ms.toFixed(0)} ms\n`);
  assert.ok(gap_ms < 4000, `a gap of ${gap_ms} ms`);
  assert.is(logged(pair['fw-b'], 'carp.state').at(-1)?.to, 'MASTER');
});

attack.run();

/** Timers and decisions of OpenBSD, FreeBSD, NetBSD and UCarp, from the protocol's vectors. */

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decideFreebsd,
  decideNetbsd,
  decideOpenbsd,
  decideUcarp,
  type Situation,
  type Tie,
  type Verdict,
} from '../../src/carp/rules.ts';
import {
  advertIntervalUs,
  compareUs,
  freebsdSkew,
  masterDown,
  masterDownUs,
  suppressedSkew,
} from '../../src/contract/carp-timers.ts';

interface Rule {
  advert_interval_us?: number;
  master_down_us: number;
}
interface TimerCase {
  advbase: number;
  advskew: number;
  openbsd_current: Rule;
  openbsd_2008_to_2015: Rule;
  freebsd_netbsd?: Rule;
  ucarp: Rule;
}
interface TimerFile {
  timers: TimerCase[];
  freebsd_demotion: { advskew: number; carp_demotion: number; advertised_advskew: number }[];
  netbsd_suppress: { advskew: number; suppress: number; advertised_advskew: number; compared_advskew: number }[];
}
interface Decision {
  implementation: 'openbsd' | 'freebsd' | 'netbsd' | 'ucarp';
  state: 'MASTER' | 'BACKUP';
  preempt: number;
  own: { advbase: number; advskew: number; demote?: number; carp_demotion?: number; suppress?: number; src?: string };
  heard: { advbase: number; advskew: number; demote?: number; src?: string };
  next_state: string;
}

function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`data/${name}.json`, import.meta.url), 'utf8')) as T;
}

const timers = suite('CARP timers');
const file = load<TimerFile>('carp-timers');

timers('intervals and master-down times of every system', () => {
  for (const { advbase, advskew, ...rules } of file.timers) {
    const name = `${advbase}/${advskew}`;
    assert.is(advertIntervalUs(advbase, advskew), rules.openbsd_current.advert_interval_us, name);
    assert.is(masterDown.openbsd(advbase, advskew), rules.openbsd_current.master_down_us, name);
    assert.is(masterDown.openbsd2008(advbase, advskew), rules.openbsd_2008_to_2015.master_down_us, name);
    assert.is(compareUs(advbase, advskew), rules.ucarp.advert_interval_us, name);
    assert.is(masterDown.ucarp(advbase, advskew), rules.ucarp.master_down_us, name);
    if (rules.freebsd_netbsd === undefined) continue;
    assert.is(compareUs(advbase, advskew), rules.freebsd_netbsd.advert_interval_us, name);
    assert.is(masterDown.freebsd(advbase, advskew), rules.freebsd_netbsd.master_down_us, name);
  }
});

timers("ours is FreeBSD's from advbase 1, OpenBSD's at advbase 0", () => {
  for (const { advbase, advskew, ...rules } of file.timers) {
    const expected = advbase === 0 ? rules.openbsd_current : rules.freebsd_netbsd;
    assert.is(masterDownUs(advbase, advskew), expected?.master_down_us, `${advbase}/${advskew}`);
  }
});

timers('advertised skew under demotion and suppression', () => {
  for (const c of file.freebsd_demotion) assert.is(freebsdSkew(c.advskew, c.carp_demotion), c.advertised_advskew);
  for (const c of file.netbsd_suppress) {
    assert.is(suppressedSkew(c.advskew, c.suppress), c.advertised_advskew);
    assert.is(suppressedSkew(c.advskew, c.suppress), c.compared_advskew);
  }
});

timers.run();

const decisions = suite('CARP decisions of others');
const cases = load<{ decisions: Decision[] }>('carp-decisions').decisions;
const rules = { openbsd: decideOpenbsd, freebsd: decideFreebsd, netbsd: decideNetbsd, ucarp: decideUcarp };

/** UCarp compares the 32-bit word as it lies in memory of a little-endian host. */
function ucarpTie(own: string | undefined, peer: string | undefined): Tie {
  if (own === undefined || peer === undefined) return null;
  const word = (text: string) => Buffer.from(text.split('.').map(Number)).readUInt32LE(0);
  return word(peer) < word(own) ? 'peer' : 'own';
}

function nextState(state: 'MASTER' | 'BACKUP', found: Verdict): string {
  if (found.act === 'takeOver') return 'MASTER';
  return found.act === 'stepDown' ? 'BACKUP' : state;
}

function situation(d: Decision): Situation {
  const demotion = d.own.demote ?? d.own.carp_demotion ?? d.own.suppress ?? 0;
  return {
    state: d.state,
    preempt: d.preempt === 1,
    own: { advbase: d.own.advbase, advskew: d.own.advskew, demotion },
    heard: { advbase: d.heard.advbase, advskew: d.heard.advskew, demote: d.heard.demote ?? 0 },
    tie: ucarpTie(d.own.src, d.heard.src),
  };
}

decisions(`all ${cases.length} cases`, () => {
  for (const d of cases)
    assert.is(nextState(d.state, rules[d.implementation](situation(d))), d.next_state, JSON.stringify(d));
});

decisions("the cases tell the rules apart: no two systems pass each other's", () => {
  const fails = (rule: keyof typeof rules, of: string) =>
    cases.some((d) => d.implementation === of && nextState(d.state, rules[rule](situation(d))) !== d.next_state);
  assert.ok(fails('freebsd', 'openbsd') && fails('openbsd', 'freebsd'));
  assert.ok(fails('freebsd', 'netbsd') && fails('freebsd', 'ucarp') && fails('openbsd', 'ucarp'));
});

decisions.run();

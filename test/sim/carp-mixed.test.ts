/**
 * A Carpio box beside a host of another system, in virtual time: the other side is a small model made of the rule and
 * the timers of that system (the same functions the vectors check).
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGroup, nextDeadline, step } from '../../src/carp/machine.ts';
import {
  decideFreebsd,
  decideNetbsd,
  decideOpenbsd,
  decideUcarp,
  type Situation,
  type Verdict,
} from '../../src/carp/rules.ts';
import type { GroupEvent, GroupState, HeardAdvert, VhidConfig } from '../../src/carp/types.ts';
import { compareUs, demoteByte, freebsdSkew, masterDown, suppressedSkew } from '../../src/contract/carp-timers.ts';

const SECOND = 1_000_000;
const WAY_US = 500;
const KEY = 'wan/1' as const;

interface System {
  decide: (s: Situation) => Verdict;
  skew: (advskew: number, demotion: number) => number;
  byte4: (demotion: number) => number;
  down: (advbase: number, advskew: number) => number;
  bowsOut: boolean;
  /** Steps down for a demoted-by-byte-4 comparison, so it also honours ours without preempt. */
  readsByte4: boolean;
  full: number;
}

const none = (): number => 0;
const systems: Record<string, System> = {
  OpenBSD: {
    decide: decideOpenbsd,
    skew: (advskew) => advskew,
    byte4: demoteByte,
    down: masterDown.openbsd,
    bowsOut: true,
    readsByte4: true,
    full: 1,
  },
  FreeBSD: {
    decide: decideFreebsd,
    skew: freebsdSkew,
    byte4: none,
    down: masterDown.freebsd,
    bowsOut: false,
    readsByte4: false,
    full: 240,
  },
  NetBSD: {
    decide: decideNetbsd,
    skew: suppressedSkew,
    byte4: none,
    down: masterDown.freebsd,
    bowsOut: true,
    readsByte4: false,
    full: 1,
  },
  UCarp: {
    decide: decideUcarp,
    skew: suppressedSkew,
    byte4: none,
    down: masterDown.ucarp,
    bowsOut: false,
    readsByte4: false,
    full: 1,
  },
};

/** The other system: one vhid, IPv4. */
class Other {
  state: 'BACKUP' | 'MASTER' = 'BACKUP';
  demotion = 0;
  alive = true;
  at: number;
  readonly system: System;
  readonly advskew: number;
  readonly preempt: boolean;

  constructor(system: System, advskew: number, preempt: boolean) {
    this.system = system;
    this.advskew = advskew;
    this.preempt = preempt;
    this.at = system.down(1, advskew);
  }

  advert(): HeardAdvert {
    return {
      advbase: 1,
      advskew: this.system.skew(this.advskew, this.demotion),
      demote: this.system.byte4(this.demotion),
    };
  }

  /** @returns an advertisement to send, or null. */
  hear(heard: HeardAdvert, now: number): HeardAdvert | null {
    const own = { advbase: 1, advskew: this.advskew, demotion: this.demotion };
    const found = this.system.decide({ state: this.state, preempt: this.preempt, own, heard, tie: 'peer' });
    if (found.act === 'takeOver') return this.lead(now);
    if (found.act === 'stepDown') this.state = 'BACKUP';
    if (this.state === 'BACKUP') this.at = now + this.system.down(1, this.advskew);
    return null;
  }

  lead(now: number): HeardAdvert {
    this.state = 'MASTER';
    const advert = this.advert();
    this.at = now + compareUs(advert.advbase, advert.advskew);
    return advert;
  }
}

class Mixed {
  now = 0;
  ours: GroupState;
  other: Other;
  #wire: { at: number; run: () => void }[] = [];
  changes = 0;
  overlap = 0;

  constructor(system: System, ourSkew: number, theirSkew: number, preempt: boolean) {
    const vip: VhidConfig = {
      key: KEY,
      vhid: 1,
      interface: 'wan',
      advbase: 1,
      advskew: ourSkew,
      v4: true,
      v6: false,
      ownAddress: '10.0.0.2',
    };
    this.ours = createGroup({ preempt, startHoldUs: 0, vips: [vip] });
    this.other = new Other(system, theirSkew, preempt);
    this.feed({ type: 'start' });
    this.feed({ type: 'link', interface: 'wan', up: true, present: true });
    this.run(20 * SECOND);
  }

  feed(event: GroupEvent): void {
    for (const action of step(this.ours, event, this.now).actions) {
      if (action.type === 'role') this.changes++;
      if (action.type !== 'sendAdvert') continue;
      const { advbase, advskew, demote } = action;
      this.#later(() => this.#toOther({ advbase, advskew, demote }));
    }
  }

  #later(run: () => void): void {
    this.#wire.push({ at: this.now + WAY_US, run });
  }

  #toOther(heard: HeardAdvert): void {
    if (!this.other.alive) return;
    const answer = this.other.hear(heard, this.now);
    if (answer !== null) this.#fromOther(answer);
  }

  #fromOther(advert: HeardAdvert): void {
    this.#later(() => this.feed({ type: 'advert', key: KEY, family: 4, advert, from: '10.0.0.1' }));
  }

  run(us: number): void {
    const end = this.now + us;
    while (this.now < end) {
      const dual = this.both();
      const before = this.now;
      const other = this.other.alive ? this.other.at : end;
      const next = this.#wire[0]?.at ?? end;
      this.now = Math.max(this.now, Math.min(end, nextDeadline(this.ours) ?? end, other, next));
      if (dual) this.overlap += this.now - before;
      if (this.#wire[0] !== undefined && this.#wire[0].at <= this.now) this.#wire.shift()?.run();
      else if (this.other.alive && this.other.at <= this.now) this.#fromOther(this.other.lead(this.now));
      else this.feed({ type: 'tick' });
    }
  }

  both(): boolean {
    return this.other.alive && this.other.state === 'MASTER' && this.weLead();
  }

  weLead(): boolean {
    return this.ours.vhids[KEY]?.state === 'MASTER';
  }

  leader(): string {
    if (this.both()) return 'both';
    if (this.weLead()) return 'ours';
    return this.other.alive && this.other.state === 'MASTER' ? 'theirs' : 'nobody';
  }
}

const mixed = suite('CARP beside other systems');

for (const [name, system] of Object.entries(systems)) {
  mixed(`${name}: the better one leads, and nothing moves for a minute`, () => {
    for (const [ours, theirs, leader] of [
      [0, 100, 'ours'],
      [100, 0, 'theirs'],
    ] as const) {
      const m = new Mixed(system, ours, theirs, true);
      assert.is(m.leader(), leader);
      const { changes } = m;
      m.run(60 * SECOND);
      assert.equal([m.leader(), m.changes, m.overlap <= 2 * WAY_US], [leader, changes, true]);
    }
  });

  mixed(`${name}: each takes over when the other dies`, () => {
    const m = new Mixed(system, 100, 0, true);
    m.other.alive = false;
    m.run(3.5 * SECOND);
    assert.is(m.leader(), 'ours');
    const back = new Mixed(system, 0, 100, true);
    back.feed({ type: 'link', interface: 'wan', up: false, present: true });
    back.run(5 * SECOND);
    assert.is(back.leader(), 'theirs');
  });

  mixed(`${name}: our demotion hands over to it, and the end of it takes the role back`, () => {
    const m = new Mixed(system, 0, 100, true);
    m.feed({ type: 'maintenance', on: true });
    m.run(2 * SECOND);
    assert.is(m.leader(), 'theirs');
    m.run(30 * SECOND);
    assert.is(m.leader(), 'theirs');
    m.feed({ type: 'maintenance', on: false });
    m.run(3 * SECOND);
    assert.is(m.leader(), 'ours');
    assert.ok(m.overlap <= 10 * WAY_US, `${m.overlap} us`);
  });

  mixed(`${name}: its demotion hands over to us, and back`, () => {
    const m = new Mixed(system, 100, 0, true);
    m.other.demotion = system.full;
    m.run(3 * SECOND);
    assert.is(m.leader(), 'ours');
    m.run(30 * SECOND);
    assert.is(m.leader(), 'ours');
    m.other.demotion = 0;
    m.run(3 * SECOND);
    assert.is(m.leader(), 'theirs');
  });

  mixed(`${name}: without preempt only byte 4 moves a living master`, () => {
    const m = new Mixed(system, 0, 100, false);
    m.feed({ type: 'maintenance', on: true });
    m.run(10 * SECOND);
    assert.is(m.leader(), system.readsByte4 ? 'theirs' : 'ours');
  });

  mixed(`${name}: a stop of ours leaves it as master, by the demotion or by the bow-out`, () => {
    for (const preempt of [true, false]) {
      const m = new Mixed(system, 0, 100, preempt);
      m.feed({ type: 'stop' });
      m.run(7 * SECOND);
      assert.is(m.leader(), 'theirs', `preempt ${preempt}`);
    }
  });
}

mixed.run();

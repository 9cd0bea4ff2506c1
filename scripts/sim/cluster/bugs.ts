/**
 * Bugs put in on purpose, each through a wrapper in the simulation and never through the product's code: the simulator
 * must find every one of them, or its silence would be worth nothing.
 */

import type { GroupEvent } from '../../../src/carp/types.ts';
import type { GateEvent } from '../../../src/gate/machine.ts';
import { bench } from '../../reference/bench-exports.ts';
import type { Daemon } from './daemon.ts';
import type { Kind } from './faults.ts';
import { inside } from './inside.ts';
import type { Bug } from './world.ts';

/** Where such a bug shows soon: the faults that bring it out, and the size of the cluster. */
interface Hunt {
  only: readonly Kind[] | null;
  boxes: number;
  /** It is found in one of this many runs, seeds 1 and up. */
  within: number;
}

const bug = (name: string, what: string, how: Partial<Bug>): [string, Bug] => [name, { name, what, ...how }];

/** An event that does nothing. */
const nothing: GroupEvent = { type: 'tick' };

export const BUGS: Record<string, Bug> = Object.fromEntries([
  bug('no-gate', 'a node that is not in step takes the lead all the same', {
    event: (_daemon, event) => (event.type === 'demote' && event.reason === 'sync' ? nothing : event),
  }),
  bug('uncounted-digest', 'digests always agree', {
    patch: ({ io }) => {
      if (io !== null) io.engine.digest = () => ({ count: 0n, sum: Buffer.alloc(16) });
    },
  }),
  bug('no-hold-down', 'a link that came back is believed at once', {
    event: (daemon, event) => {
      for (const link of Object.values(daemon.election.state.links)) if (link.holdUntil !== null) link.holdUntil = 0;
      return event;
    },
  }),
  bug('early-ack', 'states are acknowledged before the kernel has them, and reach it two seconds later', {
    patch: (daemon) => lateKernel(daemon),
  }),
  bug('no-stall', 'a node that slept does not notice', {
    event: (daemon, event) => {
      daemon.election.state.lastUs = daemon.clock.nowUs();
      return event.type === 'stall' ? nothing : event;
    },
  }),
  bug('no-adoption', 'a new master does not own what it mirrored', {
    patch: ({ io }) => {
      if (io !== null) io.engine.adoptPeer = () => {};
    },
  }),
  bug('no-repair', 'a difference is seen, and nobody asks for the repair', {
    patch: ({ driver }) => {
      if (driver === null) return;
      const ask = inside<(action: { type: string }) => void>(driver, 'perform').bind(driver);
      const perform = (action: { type: string }): void => {
        if (action.type !== 'askRepair' && action.type !== 'sendResync') ask(action);
      };
      Reflect.set(driver, 'perform', perform);
    },
  }),
  bug('no-listening', 'a vhid that comes up does not listen before it leads', {
    event: (daemon, event) => {
      for (const v of Object.values(daemon.election.state.vhids)) v.listenUntil = 0;
      return event;
    },
  }),
  bug('stubborn-master', 'a master does not hear a better one', {
    event: (daemon, event) => {
      if (event.type !== 'advert') return event;
      return daemon.election.state.vhids[event.key]?.state === 'MASTER' ? nothing : event;
    },
  }),
  bug('deaf-overrun', 'lost kernel events are not noticed', {
    patch: ({ io }) => {
      if (io === null) return;
      const receive = io.events.receive.bind(io.events);
      io.events.receive = () => {
        const batch = receive();
        return batch.kind === 'overrun' ? { kind: 'empty' } : batch;
      };
    },
  }),
  bug('no-address', 'a master announces itself without having the address', { noAddress: true }),
  bug('no-timeout', 'the kernel keeps the gate of a dead daemon open', { noTimeout: true }),
  bug('blind-beat', 'the beat goes on although the loop does not turn', {
    patch: ({ box, gates }) => {
      const { calendar } = box.world;
      const { life } = box;
      const beat = (): void => {
        if (life !== box.life) return;
        box.gate.send('open', gates.open);
        calendar.after(40_000, beat);
      };
      beat();
    },
  }),
  bug('waking-beat', 'a node that wakes beats before it looks at its clock', {
    patch: ({ gates, election }) => {
      const look = election.look.bind(election);
      Reflect.set(election, 'look', () => {
        gates.feed({ type: 'look' });
        look();
      });
    },
  }),
  bug('hasty-gate', 'a gate opens although the peer says that its own is open', {
    patch: ({ gates }) => {
      const feed = gates.feed.bind(gates);
      Reflect.set(gates, 'feed', (event: GateEvent) => {
        feed(event);
        if (event.type === 'role' && event.master) feed({ type: 'peerDead' });
      });
    },
  }),
  bug('strict-window', 'mirrored connections are strict about a window that nobody knows', {
    patch: ({ box }) => {
      const change = box.kernel.change.bind(box.kernel);
      box.kernel.change = (...all) => {
        const answers = change(...all);
        for (const entry of box.kernel.entries.values()) if (entry.injected) entry.state.flags = [0, 0];
        return answers;
      };
    },
  }),
  bug('forgotten-deletes', 'a state that ended at its owner stays at the peer', {
    patch: ({ box }) => {
      const change = box.kernel.change.bind(box.kernel);
      box.kernel.change = (bytes, port, now) => change(withoutDeletes(bytes), port, now);
    },
  }),
  bug('old-comparison', 'a verdict counts as of the moment it arrives, whatever the age of its digest', {
    patch: (daemon) => {
      const { driver } = daemon;
      if (driver === null) return;
      const take = driver.take.bind(driver);
      // And what silence has swallowed comes bit by bit: in one burst, as it should, it would be there in the next
      // moment.
      const resend = driver.outbox.resend.bind(driver.outbox);
      driver.outbox.resend = (from) => resend(from, from);
      driver.take = (datagram, now) => {
        take(datagram, now);
        const log = driver.state.sentLog;
        log.splice(0, log.length, { seq: (driver.state.txSeq - 1000) >>> 0, at: now });
      };
    },
  }),
  bug('eager-take-over', 'a new master brings all that it adopts in order before it goes on', {
    patch: ({ driver, io }) => {
      if (driver === null || io === null) return;
      const setRole = driver.setRole.bind(driver);
      driver.setRole = (...all) => {
        setRole(...all);
        while (io.engine.sweep(2000) !== 0);
      };
    },
  }),
  bug('no-sweep', 'tags are never brought in order again after a take-over', {
    patch: ({ io }) => {
      if (io !== null) io.engine.sweep = () => 0;
    },
  }),
  bug('no-retry', 'what the kernel refused once is never tried again', {
    patch: ({ driver }) => {
      if (driver !== null) Reflect.set(driver, 'retry', { at: Number.POSITIVE_INFINITY, due: () => false });
    },
  }),
  bug('endless-answers', 'each word of the peer is answered at once, again and again', {
    patch: ({ io }) => {
      if (io === null) return;
      const { engine } = io;
      bench(engine).boundAnswers(0);
      const prefer = engine.setPreferPeer.bind(engine);
      engine.setPreferPeer = (peer) => prefer(peer, false);
    },
  }),
  bug('dropped-piece', 'what a kernel did not take for want of memory is dropped, and nobody notices', {
    patch: ({ io }) => {
      if (io === null) return;
      const change = io.change.bind(io);
      io.change = (...all) => void (io.deaf || change(...all));
    },
  }),
]);

const hunt = (only: readonly Kind[] | null, within: number, boxes = 2): Hunt => ({ only, boxes, within });

export const HUNTS: Record<string, Hunt> = {
  'no-gate': hunt(['power', 'sync-cut', 'sync-carrier'], 30),
  'uncounted-digest': hunt(null, 5),
  'no-hold-down': hunt(['flap', 'carrier'], 10),
  'no-repair': hunt(['overrun', 'power'], 10),
  'no-listening': hunt(['power', 'kill', 'stop'], 10, 3),
  'stubborn-master': hunt(null, 10),
  'early-ack': hunt(null, 5),
  'no-stall': hunt(['pause', 'freeze'], 30),
  'no-adoption': hunt(null, 10),
  'deaf-overrun': hunt(['overrun'], 10),
  'no-address': hunt(null, 2),
  'no-timeout': hunt(['kill'], 10),
  'blind-beat': hunt(['pause'], 10),
  'waking-beat': hunt(['pause'], 20),
  'hasty-gate': hunt(['maintenance'], 10),
  'strict-window': hunt(null, 5),
  'forgotten-deletes': hunt(null, 5),
  'old-comparison': hunt(['sync-cut', 'sync-loss'], 30),
  'eager-take-over': hunt(null, 3),
  'no-sweep': hunt(['maintenance'], 30),
  'no-retry': hunt(['full'], 10),
  'endless-answers': hunt(null, 30),
  'dropped-piece': hunt(['deaf-kernel'], 10),
};

function lateKernel(daemon: Daemon): void {
  const { io, box } = daemon;
  if (io === null) return;
  const { calendar } = box.world;
  io.change = (offset, length) => {
    const bytes = Buffer.from(new Uint8Array(io.engine.memory.buffer, offset, length));
    calendar.after(2_000_000, () => box.powered && box.kernel.change(bytes, 4711, calendar.now));
  };
}

function withoutDeletes(bytes: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if ((bytes.readUInt16LE(at + 4) & 0xff) !== 2) kept.push(bytes.subarray(at, at + length));
    at += length;
  }
  return Buffer.concat(kept);
}

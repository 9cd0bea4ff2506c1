/**
 * The node as a service: what a service manager and a watchdog hear, and that neither hears "alive" from half a node.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { check, closeQuietly, libc, Sock } from '../../../src/kernel/libc.ts';
import { NotifySocket, unixAddress } from '../../../src/kernel/notify-socket.ts';
import { Syslog, syslogLine } from '../../../src/node/report/syslog.ts';
import { managerBeatMs, Service, type ServiceDoors } from '../../../src/node/service.ts';

const service = suite('service');

interface World {
  doors: ServiceDoors;
  said: string[];
  fed: number;
  disarmed: number;
  fault: string | null;
  warned: string[];
}

function world(): World {
  const w: World = { said: [], fed: 0, disarmed: 0, fault: null, warned: [], doors: undefined as never };
  w.doors = {
    notify: () => ({ send: (text) => w.said.push(text) > 0, close: () => {} }),
    watchdog: ({ timeoutS }) => ({
      timeoutS,
      feed: () => {
        w.fed += 1;
      },
      disarm: () => {
        w.disarmed += 1;
      },
    }),
  };
  return w;
}

const ports = (w: World) => ({
  fault: () => w.fault,
  line: () => 'backup',
  warn: (message: string) => w.warned.push(message),
});
const ENV = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '200000' };

async function until(test: () => boolean): Promise<void> {
  while (!test()) await new Promise((resolve) => setTimeout(resolve, 10));
}

service('ready, then alive again and again; told to stop, the hardware is disarmed', async () => {
  const w = world();
  const s = new Service(ENV, ports(w), w.doors);
  s.ready({ device: '/dev/watchdog', timeoutS: 5 });
  await until(() => w.fed >= 3);
  s.stopping();
  s.close();
  assert.is(w.said[0], 'READY=1');
  assert.ok(w.said.filter((text) => text === 'WATCHDOG=1').length >= 3);
  assert.is(w.said.at(-1), 'STOPPING=1');
  assert.is(w.disarmed, 1);
});

service('a dataplane that does not turn: neither is fed, and that is said once; both are fed again after', async () => {
  const w = world();
  const s = new Service(ENV, ports(w), w.doors);
  w.fault = 'the dataplane has not turned for 6 s';
  s.ready({ device: '/dev/watchdog', timeoutS: 5 });
  let beats = 0;
  const countBeat = () => {
    beats += 1;
    return w.fault;
  };
  const counted = new Service(ENV, { ...ports(w), fault: countBeat }, w.doors);
  counted.ready(null);
  await until(() => beats >= 4);
  assert.is(w.fed, 0);
  assert.not(w.said.includes('WATCHDOG=1'));
  assert.equal([...new Set(w.warned)], ['the watchdog is not fed: the dataplane has not turned for 6 s']);
  assert.is(w.warned.length, 2);
  w.fault = null;
  await until(() => w.fed > 0);
  s.close();
  counted.close();
});

service('without a manager and without a device nothing runs', () => {
  const w = world();
  const s = new Service({}, ports(w), w.doors);
  s.ready(null);
  s.reloading(1);
  s.close();
  assert.equal(w.said, []);
});

service('a device that is not there is said, and the node runs', () => {
  const w = world();
  const doors: ServiceDoors = {
    ...w.doors,
    watchdog: () => {
      throw new Error("ENOENT: no such file or directory, open '/dev/watchdog'");
    },
  };
  const s = new Service(ENV, ports(w), doors);
  s.ready({ device: '/dev/watchdog', timeoutS: 5 });
  s.close();
  assert.match(w.warned[0] ?? '', /ENOENT.*\/dev\/watchdog/);
  assert.is(w.said[0], 'READY=1');
});

service('the manager watches one process: another one of the same environment does not answer for it', () => {
  assert.is(managerBeatMs({ WATCHDOG_USEC: '20000000' }), 10_000);
  assert.is(managerBeatMs({ WATCHDOG_USEC: '20000000', WATCHDOG_PID: '1' }, 2), null);
  assert.is(managerBeatMs({ WATCHDOG_USEC: 'x' }), null);
  assert.is(managerBeatMs({}), null);
});

service('a real socket of a manager gets the words, by path and by abstract name', () => {
  const directory = mkdtempSync(join(tmpdir(), 'carpio-notify-'));
  try {
    for (const name of [join(directory, 'notify'), `@carpio-test-${process.pid}`]) {
      const fd = check(libc().socket(Sock.AF_UNIX, Sock.SOCK_DGRAM | Sock.SOCK_NONBLOCK, 0), 'a socket');
      const address = unixAddress(name);
      assert.ok(address);
      check(libc().bind(fd, address, address.length), 'bind');
      const notify = new NotifySocket(name);
      assert.ok(notify.send('READY=1\nSTATUS=x'));
      const buffer = Buffer.alloc(64);
      const length = Number(libc().recv(fd, buffer, buffer.length, Sock.MSG_DONTWAIT));
      assert.is(buffer.toString('utf8', 0, length), 'READY=1\nSTATUS=x');
      notify.close();
      closeQuietly(fd);
    }
    assert.not(new NotifySocket(join(directory, 'nobody')).send('READY=1'));
    assert.throws(() => new NotifySocket('relative'), /NOTIFY_SOCKET/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

service('a syslog line is RFC 5424, one line, and never longer than a frame', () => {
  const time = new Date('2026-01-02T03:04:05.678Z');
  const line = syslogLine('warning', time, 'fw-a', 42, 'warning: one\ntwo');
  assert.is(line.toString(), '<28>1 2026-01-02T03:04:05.678Z fw-a carpio 42 - - warning: one two');
  const long = syslogLine('info', time, 'fw-a', 42, 'ü'.repeat(2000));
  assert.ok(long.length <= 1400);
  assert.not(long.toString().includes('\ufffd'));
});

service('a receiver gets the log; one that is not there costs a count', async () => {
  const receiver = createSocket('udp4');
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const log = new Syslog('fw-a', [{ address: '127.0.0.1', port: receiver.address().port }]);
  const heard = once(receiver, 'message');
  log.say('error', new Date(), 'error: something');
  const [bytes] = (await heard) as [Buffer];
  assert.match(bytes.toString(), /^<27>1 \S+Z fw-a carpio \d+ - - error: something$/);
  for (let i = 0; i < 100; i++) log.say('info', new Date(), 'x');
  assert.ok(log.dropped > 0);
  log.close();
  receiver.close();
});

service.run();

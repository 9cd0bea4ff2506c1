/** Which events of the connection table reach a node: those that it has caused itself stay in the kernel. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { attributes, netlink } from '../../scripts/reference/ctmsg.ts';
import type { ConntrackSockets } from '../../src/kernel/conntrack.ts';
import { openConntrack } from '../../src/kernel/conntrack.ts';
import { echoFilter } from '../../src/kernel/event-filter.ts';
import { libc, Sock } from '../../src/kernel/libc.ts';
import { insideNamespace } from './kernel-lab.ts';

const { attr, nest, u8, u16, u32 } = attributes;
const NEW = 0x100;
const DELETE = 0x102;
const REQUEST = 1;
const CREATE = 0x400 | 0x200;
const IPV4 = Buffer.from([2, 0, 0, 0]);

const events = suite('lab: events');

function tuple(type: number, there: boolean): Buffer {
  const [a, b] = [Buffer.from([10, 0, 1, 1]), Buffer.from([198, 51, 100, 80])];
  const [from, to] = there ? [a, b] : [b, a];
  const [sport, dport] = there ? [1001, 53] : [53, 1001];
  return nest(type, nest(1, attr(1, from), attr(2, to)), nest(2, u8(1, 17), u16(2, sport), u16(3, dport)));
}

const create = netlink(NEW, { flags: REQUEST | CREATE, seq: 1 }, [
  IPV4,
  tuple(1, true),
  tuple(2, false),
  u32(3, 8 | 2),
  u32(7, 600),
]);
const remove = netlink(DELETE, { flags: REQUEST, seq: 2 }, [IPV4, tuple(1, true)]);

const buffer = Buffer.alloc(65_536);

/** The kernel tells of a change by netlink before the call that makes it returns. */
function told({ events: fd }: ConntrackSockets): number {
  for (let count = 0; ; count++) {
    if (Number(libc().recv(fd, buffer, buffer.length, Sock.MSG_DONTWAIT)) <= 0) return count;
  }
}

function change({ control }: ConntrackSockets, bytes: Buffer): void {
  libc().send(control, bytes, bytes.length, 0);
  const refused = Number(libc().recv(control, buffer, buffer.length, Sock.MSG_DONTWAIT)) > 0;
  assert.is(refused ? buffer.readInt32LE(16) : 0, 0, 'the kernel takes the change');
}

events('what a node writes and deletes itself does not come back; what another one does is told', () => {
  const node = openConntrack(1 << 20, (port) => echoFilter(port, null));
  const other = openConntrack(1 << 20, () => null);
  try {
    change(node, create);
    // The other one has no filter, and hears of it (negative control).
    assert.equal([told(node), told(other)], [0, 1]);
    change(node, remove);
    assert.equal([told(node), told(other)], [0, 1]);
    change(other, create);
    assert.equal([told(node), told(other)], [1, 1]);
    change(other, remove);
    assert.equal([told(node), told(other)], [1, 1]);
  } finally {
    node.close();
    other.close();
  }
});

if (insideNamespace()) events.run();

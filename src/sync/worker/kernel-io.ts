/** The dataplane's outside on Linux: netlink and raw sockets read by recvmmsg, an eventfd for commands, poll(2). */
import { randomBytes } from 'node:crypto';
import { nativeAead } from '../../kernel/aead.ts';
import { type Batch, BatchReceiver } from '../../kernel/batch.ts';
import { openConntrack, requestDump, sendMessages } from '../../kernel/conntrack.ts';
import { type DeferQueue, openDeferQueue } from '../../kernel/defer-queue.ts';
import type { Instruction } from '../../kernel/event-filter.ts';
import { echoFilter, statusFilter } from '../../kernel/event-filter.ts';
import { openExpectations } from '../../kernel/expect.ts';
import { closeQuietly, libc, Sock } from '../../kernel/libc.ts';
import { PollSet, type Ready } from '../../kernel/poll-set.ts';
import { addressOfName, openSyncSocket, SYNC_GROUP, type SyncSocket } from '../../kernel/sync-socket.ts';
import type { Area, Engine } from '../table/engine.ts';
import type { BatchSource, DataplaneHost, DataplaneIo } from './dataplane-io.ts';
import type { WorkerConfig } from './messages.ts';
import { threadClock } from './messages.ts';

/** Under load a pass begins at most this often, because a batch costs less than single messages. */
const PACE_MS = 2.6;
/** After so many events in one pass more will come in the next, so poll(2) is not asked. */
const SURE = 4;
/** Between two slices of background work: at real-time priority nobody else would get the processor. */
const BREATH_MS = 0.2;
/** The kernel makes a piece of a dump as large as the largest buffer that was offered, up to so many bytes. */
const DUMP_PIECE = 32_768;
/** Two pieces, some 340 entries, are read in about a millisecond. */
const DUMP_PIECES = 2;
/** Between two passes of a dump: there are more than a hundred, and the node is not in step before the last. */
const DUMP_BREATH_MS = 0.1;
const IP_HEADER = 20;
/** Indices of descriptors in the poll set; the first two may be left to gather (`pause`). */
const EVENTS = 0;
const DATAGRAMS = 1;
const DUMP = 2;
const WAKE = 3;
const EXPECTATIONS = 4;
/** Conntrack status bits (nf_conntrack_common.h). */
const SEEN_REPLY = 0x2;
const ASSURED = 0x4;

/**
 * Events of what is not synced yet are not received (asm/kernel/filter.ts has the same rule), nor those of what this
 * node has changed itself: the events of what a backup writes would wake it once more for each datagram.
 */
function wantedEvents(when: WorkerConfig['syncWhen'], controlPort: number): Instruction[] {
  const others = when === 'all' ? null : statusFilter(when === 'answered' ? SEEN_REPLY : ASSURED);
  return echoFilter(controlPort, others);
}

const EMPTY: Batch = { kind: 'empty' };

/** @param ready what poll(2) said about this socket: without data it is not read at all */
function sourceOf(receiver: BatchReceiver, fd: number, ready?: Ready): BatchSource {
  return {
    slots: receiver.slots,
    receive: () => {
      if (ready !== undefined && !ready.is) return EMPTY;
      const result = receiver.receive(fd);
      if (ready !== undefined && result.kind === 'empty') ready.is = false;
      return result;
    },
    slotOffset: (slot) => receiver.slotOffset(slot),
    length: (slot) => receiver.length(slot),
    truncated: (slot) => receiver.truncated(slot),
  };
}

/** The sender's address as text; nearly always the same, so the last one is kept. */
function senderOf(receiver: BatchReceiver): (slot: number) => string {
  let last = -1;
  let text = '';
  return (slot) => {
    const name = receiver.name(slot);
    const address = name.readUInt32BE(4);
    if (address !== last) {
      last = address;
      text = addressOfName(name);
    }
    return text;
  };
}

function tryDefer(): DeferQueue | string {
  try {
    return openDeferQueue();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @param events what poll(2) said about the socket of the events */
function refusalsOf(refusals: BatchSource, events?: Ready): BatchSource {
  return {
    ...refusals,
    receive: () => {
      const result = refusals.receive();
      // A refused entry has often ended this moment, and its event has come after the call of poll(2).
      if (result.kind !== 'empty' && events !== undefined) events.is = true;
      return result;
    },
  };
}

function senderOn(link: SyncSocket): Required<Pick<DataplaneIo, 'transmit' | 'tooLong'>> {
  let tooLong = 0;
  return {
    transmit: (datagram, address) => {
      const result = link.send(datagram, address ?? SYNC_GROUP);
      if (result === 'too_long') tooLong = Math.max(tooLong, datagram.length + IP_HEADER);
    },
    tooLong: () => {
      const longest = tooLong;
      tooLong = 0;
      return longest;
    },
  };
}

function sleepOn(polled: PollSet, wakeFd: number): DataplaneIo['sleep'] {
  const { ready } = polled;
  const wakeBytes = Buffer.alloc(8);
  return (events, ms, quiet) => {
    if (ready[DUMP]?.is === true) {
      // There is always more of a dump, so poll(2) would not sleep.
      libc().usleep(DUMP_BREATH_MS * 1000);
      polled.wait(0);
    } else if (events > 0) {
      // Single events are left to gather, and so are mere acknowledgements. A datagram with states is a batch already.
      if (!polled.pause(PACE_MS, quiet ? 2 : 1) && events < SURE) polled.wait(ms - PACE_MS);
    } else if (ms <= 0) polled.pause(BREATH_MS, 1);
    else polled.wait(ms);
    if (ready[WAKE]?.is === true) libc().read(wakeFd, wakeBytes, 8);
  };
}

function openKernelIo(config: WorkerConfig, { memory, areas }: Engine): DataplaneIo {
  const conntrack = openConntrack(config.eventBuffer, (port) => wantedEvents(config.syncWhen, port));
  const link = openSyncSocket(config.device, config.ifindex);
  const wakeFd = libc().eventfd(0, Sock.EFD_NONBLOCK | Sock.EFD_CLOEXEC);
  const receiver = ({ offset, slots, size }: Area, named: boolean): BatchReceiver =>
    new BatchReceiver(memory, offset, slots, size, named);
  const replies = receiver(areas.netlink, false);
  const datagrams = receiver(areas.datagrams, true);
  const pieces = receiver({ offset: areas.netlink.offset, slots: DUMP_PIECES, size: DUMP_PIECE }, false);
  const expectations = openExpectations();
  const defer = config.defer === true ? tryDefer() : undefined;
  const fds = [conntrack.events, link.fd, conntrack.dump, wakeFd, expectations.fd];
  if (typeof defer === 'object') fds.push(defer.fd);
  const polled = new PollSet(fds);
  const { ready } = polled;
  return {
    wakeFd,
    controlPort: conntrack.controlPort,
    events: sourceOf(receiver(areas.netlink, false), conntrack.events, ready[EVENTS]),
    refusals: refusalsOf(sourceOf(replies, conntrack.control), ready[EVENTS]),
    dump: sourceOf(pieces, conntrack.dump, ready[DUMP]),
    datagrams: sourceOf(datagrams, link.fd, ready[DATAGRAMS]),
    ...(defer === undefined ? {} : { defer }),
    expectations: {
      ...expectations,
      // Without data no call in every pass.
      receive: () => (ready[EXPECTATIONS]?.is === true ? expectations.receive() : { events: [], overrun: false }),
    },
    sender: senderOf(datagrams),
    requestDump: (sequence) => requestDump(conntrack.dump, sequence),
    change: (offset, length) => sendMessages(conntrack.control, memory, offset, length),
    ...senderOn(link),
    follow: (ifindex) => link.follow(ifindex),
    sleep: sleepOn(polled, wakeFd),
    woken: () => ready[WAKE]?.is === true,
    idle: () => ready.every(({ is }, i) => i <= DATAGRAMS || i === WAKE || !is),
    now: threadClock(),
    close: () => {
      conntrack.close();
      expectations.close();
      if (typeof defer === 'object') defer.close();
      link.close();
      closeQuietly(wakeFd);
    },
  };
}

const aead = nativeAead();

export const KERNEL_HOST: DataplaneHost = {
  random: (bytes) => randomBytes(bytes),
  open: openKernelIo,
  ...(aead === null ? {} : { aead }),
};

/** The dataplane's outside on Linux: netlink and raw sockets read by recvmmsg, an eventfd for commands, poll(2). */
import { randomBytes } from 'node:crypto';
import { nativeAead } from '../kernel/aead.ts';
import { BatchReceiver } from '../kernel/batch.ts';
import { openConntrack, requestDump, sendMessages } from '../kernel/conntrack.ts';
import { type DeferQueue, openDeferQueue } from '../kernel/defer-queue.ts';
import type { Instruction } from '../kernel/event-filter.ts';
import { statusFilter } from '../kernel/event-filter.ts';
import { openExpectations } from '../kernel/expect.ts';
import { closeQuietly, libc, Sock } from '../kernel/libc.ts';
import { addressOfName, openSyncSocket, SYNC_GROUP } from '../kernel/sync-socket.ts';
import type { Batch, BatchSource, DataplaneHost, DataplaneIo } from './dataplane-io.ts';
import type { Area, Engine } from './engine.ts';
import type { WorkerConfig } from './messages.ts';
import { workerClock } from './messages.ts';

/** Under load a pass begins at most this often: batches cost less than single messages. Microseconds. */
const PACE = 1400;
const BREATH = 200;
/** Conntrack status bits (nf_conntrack_common.h). */
const SEEN_REPLY = 0x2;
const ASSURED = 0x4;
const POLLFD = 8;

/** What is not synced yet need not be heard of (asm/filter.ts has the same rule). */
function wantedEvents(when: WorkerConfig['syncWhen']): Instruction[] | null {
  if (when === 'all') return null;
  return statusFilter(when === 'answered' ? SEEN_REPLY : ASSURED);
}

const EMPTY: Batch = { kind: 'empty' };

/** @param ready what poll(2) has said of this socket; no look at one that has nothing costs less than a look. */
function sourceOf(receiver: BatchReceiver, fd: number, ready?: { is: boolean }): BatchSource {
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

function pollSetOf(fds: readonly number[]): Buffer {
  const set = Buffer.alloc(fds.length * POLLFD);
  fds.forEach((fd, i) => {
    set.writeInt32LE(fd, i * POLLFD);
    set.writeUInt16LE(Sock.POLLIN, i * POLLFD + 4);
  });
  return set;
}

function tryDefer(): DeferQueue | string {
  try {
    return openDeferQueue();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function openKernelIo(config: WorkerConfig, { memory, areas }: Engine): DataplaneIo {
  const conntrack = openConntrack(config.eventBuffer, wantedEvents(config.syncWhen));
  const link = openSyncSocket(config.device, config.ifindex);
  const wakeFd = libc().eventfd(0, Sock.EFD_NONBLOCK | Sock.EFD_CLOEXEC);
  const receiver = ({ offset, slots, size }: Area): BatchReceiver => new BatchReceiver(memory, offset, slots, size);
  const replies = receiver(areas.netlink);
  const datagrams = receiver(areas.datagrams);
  const expectations = openExpectations();
  const defer = config.defer === true ? tryDefer() : undefined;
  const fds = [conntrack.events, conntrack.dump, link.fd, wakeFd, expectations.fd];
  if (typeof defer === 'object') fds.push(defer.fd);
  const pollSet = pollSetOf(fds);
  const ready = fds.map(() => ({ is: true }));
  const wakeBytes = Buffer.alloc(8);
  return {
    wakeFd,
    controlPort: conntrack.controlPort,
    events: sourceOf(receiver(areas.netlink), conntrack.events, ready[0]),
    refusals: sourceOf(replies, conntrack.control),
    dump: sourceOf(replies, conntrack.dump, ready[1]),
    datagrams: sourceOf(datagrams, link.fd, ready[2]),
    ...(defer === undefined ? {} : { defer }),
    expectations: {
      ...expectations,
      // Nothing came for it: not worth a call in every pass.
      receive: () => (ready[4]?.is === true ? expectations.receive() : { events: [], overrun: false }),
    },
    sender: senderOf(datagrams),
    requestDump: (sequence) => requestDump(conntrack.dump, sequence),
    change: (offset, length) => sendMessages(conntrack.control, memory, offset, length),
    transmit: (datagram, address) => {
      link.send(datagram, address ?? SYNC_GROUP);
    },
    sleep: (busy, ms) => {
      if (busy) libc().usleep(PACE);
      // Between two slices of background work: at real-time priority nobody else would get the processor.
      else if (ms <= 0) libc().usleep(BREATH);
      libc().poll(pollSet, fds.length, Math.max(0, Math.ceil(busy ? ms - PACE / 1000 : ms)));
      ready.forEach((one, i) => {
        one.is = pollSet.readUInt16LE(i * POLLFD + 6) !== 0;
      });
      if (ready[3]?.is === true) libc().read(wakeFd, wakeBytes, 8);
    },
    woken: () => ready[3]?.is === true,
    now: workerClock,
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

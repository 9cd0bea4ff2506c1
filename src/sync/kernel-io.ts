/** The dataplane's outside on Linux: netlink and raw sockets read by recvmmsg, an eventfd for commands, poll(2). */
import { randomBytes } from 'node:crypto';
import { BatchReceiver } from '../kernel/batch.ts';
import { openConntrack, requestDump, sendMessages } from '../kernel/conntrack.ts';
import type { Instruction } from '../kernel/event-filter.ts';
import { statusFilter } from '../kernel/event-filter.ts';
import { closeQuietly, libc, Sock } from '../kernel/libc.ts';
import { addressOfName, openSyncSocket, SYNC_GROUP } from '../kernel/sync-socket.ts';
import type { BatchSource, DataplaneHost, DataplaneIo } from './dataplane-io.ts';
import type { Area, Engine } from './engine.ts';
import type { WorkerConfig } from './messages.ts';
import { workerClock } from './messages.ts';

/** Under load a pass begins at most this often: batches cost less than single messages. Microseconds. */
const PACE = 1400;
/** Conntrack status bits (nf_conntrack_common.h). */
const SEEN_REPLY = 0x2;
const ASSURED = 0x4;
const POLLFD = 8;

/** What is not synced yet need not be heard of (asm/filter.ts has the same rule). */
function wantedEvents(when: WorkerConfig['syncWhen']): Instruction[] | null {
  if (when === 'all') return null;
  return statusFilter(when === 'answered' ? SEEN_REPLY : ASSURED);
}

function sourceOf(receiver: BatchReceiver, fd: number): BatchSource {
  return {
    slots: receiver.slots,
    receive: () => receiver.receive(fd),
    slotOffset: (slot) => receiver.slotOffset(slot),
    length: (slot) => receiver.length(slot),
    truncated: (slot) => receiver.truncated(slot),
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

function openKernelIo(config: WorkerConfig, { memory, areas }: Engine): DataplaneIo {
  const conntrack = openConntrack(config.eventBuffer, wantedEvents(config.syncWhen));
  const link = openSyncSocket(config.device, config.ifindex);
  const wakeFd = libc().eventfd(0, Sock.EFD_NONBLOCK | Sock.EFD_CLOEXEC);
  const receiver = ({ offset, slots, size }: Area): BatchReceiver => new BatchReceiver(memory, offset, slots, size);
  const replies = receiver(areas.netlink);
  const datagrams = receiver(areas.datagrams);
  const fds = [conntrack.events, conntrack.dump, link.fd, wakeFd];
  const pollSet = pollSetOf(fds);
  const woken = (fds.length - 1) * POLLFD + 6;
  return {
    wakeFd,
    controlPort: conntrack.controlPort,
    events: sourceOf(receiver(areas.netlink), conntrack.events),
    refusals: sourceOf(replies, conntrack.control),
    dump: sourceOf(replies, conntrack.dump),
    datagrams: sourceOf(datagrams, link.fd),
    sender: (slot) => addressOfName(datagrams.name(slot)),
    requestDump: (sequence) => requestDump(conntrack.dump, sequence),
    change: (offset, length) => sendMessages(conntrack.control, memory, offset, length),
    transmit: (datagram, address) => {
      link.send(datagram, address ?? SYNC_GROUP);
    },
    sleep: (busy, ms) => {
      if (busy) libc().usleep(PACE);
      libc().poll(pollSet, fds.length, Math.max(0, Math.ceil(busy ? ms - PACE / 1000 : ms)));
      if (pollSet.readUInt16LE(woken) !== 0) libc().read(wakeFd, Buffer.alloc(8), 8);
    },
    now: workerClock,
    close: () => {
      conntrack.close();
      link.close();
      closeQuietly(wakeFd);
    },
  };
}

export const KERNEL_HOST: DataplaneHost = { random: (bytes) => randomBytes(bytes), open: openKernelIo };

/**
 * How many gates are open in a firewall's kernel: the elements of the set that src/gate/table.ts makes, read over
 * netlink from inside the firewall's network namespace. One look costs some 50 µs.
 *
 * NFT_MSG_GETSETELEM (linux/netfilter/nf_tables.h): nfgenmsg { u8 family, u8 version, u16 resource }, then
 * NFTA_SET_ELEM_LIST_TABLE and NFTA_SET_ELEM_LIST_SET as strings; each answer holds NFTA_SET_ELEM_LIST_ELEMENTS, a
 * list.
 */
import { closeSync, openSync } from 'node:fs';
import { check, libc } from '../../src/kernel/libc.ts';
import { MessageBuilder, NetlinkClient, NLM_F_DUMP, NLM_F_REQUEST, parseAttributes } from '../../src/kernel/netlink.ts';

const NETLINK_NETFILTER = 12;
const NFT_MSG_GETSETELEM = (10 << 8) | 13;
const NFGENMSG = Uint8Array.of(5, 0, 0, 0); // NFPROTO_NETDEV
const LIST_TABLE = 1;
const LIST_SET = 2;
const LIST_ELEMENTS = 3;
const CLONE_NEWNET = 0x40000000;
/** asm/unistd.h: setns. */
const SETNS = process.arch === 'arm64' ? 268 : 308;

export class GateCount {
  readonly #client: NetlinkClient;

  /** @param pid of a process in the firewall's network namespace. @throws Error when it has ended */
  constructor(pid: number) {
    this.#client = inNamespaceOf(pid, () => new NetlinkClient(NETLINK_NETFILTER));
  }

  /** Null: there is no table, so nothing is gated. */
  read(): number | null {
    const request = new MessageBuilder(NFT_MSG_GETSETELEM, NLM_F_REQUEST | NLM_F_DUMP, NFGENMSG)
      .string(LIST_TABLE, 'carpio_gate')
      .string(LIST_SET, 'alive');
    try {
      const answers = this.#client.dump(request, 'read the open gates');
      return answers.reduce((sum, { payload }) => sum + elementsIn(payload), 0);
    } catch {
      return null;
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** Each element is one attribute of the list; all have the same type, so they are counted by their lengths. */
function elementsIn(payload: Buffer): number {
  const list = parseAttributes(payload, NFGENMSG.length).get(LIST_ELEMENTS);
  let count = 0;
  for (let at = 0; list !== undefined && at + 4 <= list.length; count++) {
    at += Math.max(4, (list.readUInt16LE(at) + 3) & ~3);
  }
  return count;
}

/** What is opened meanwhile stays in that namespace; the thread comes back. */
function inNamespaceOf<T>(pid: number, open: () => T): T {
  const home = openSync('/proc/self/ns/net', 'r');
  const there = openSync(`/proc/${pid}/ns/net`, 'r');
  try {
    check(libc().syscall(SETNS, there, CLONE_NEWNET, 0), 'enter a network namespace');
    try {
      return open();
    } finally {
      check(libc().syscall(SETNS, home, CLONE_NEWNET, 0), 'come back from a network namespace');
    }
  } finally {
    closeSync(home);
    closeSync(there);
  }
}

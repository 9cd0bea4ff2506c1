/**
 * The rules for `defer`: which packets wait in the queue (defer-queue.ts). Nothing here waits for the program `nft`:
 * the thread that asks for the rules goes on meanwhile, and the dataplane's, which has no event loop, never asks.
 *
 * `bypass` stands in the rule: with nobody listening to the queue the packets pass. Kernels without nft_queue have the
 * older xt_NFQUEUE, which nft takes over netlink only (nf_tables.h, nft_compat).
 */
import { DEFER_QUEUE } from './defer-queue.ts';
import { closeQuietly, libc } from './libc.ts';
import {
  MessageBuilder,
  NetlinkClient,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  openNetlink,
  parseAck,
  parseMessages,
} from './netlink.ts';
import { applyNft } from './nft.ts';

const NETLINK_NETFILTER = 12;
const NFPROTO_INET = 1;
const GETTABLE = 0xa01;
const NEWRULE = 0xa06;
const NLM_F_APPEND = 0x800;

const DEFER_TABLE = 'carpio_defer';
const REMOVE = `table inet ${DEFER_TABLE}\ndelete table inet ${DEFER_TABLE}\n`;
/**
 * The answer that ends the opening of a TCP connection; the first one of others (they are assured after two seconds of
 * traffic). When the set is full, the rest passes.
 */
const RULES = `${REMOVE}table inet ${DEFER_TABLE} {
	set seen {
		typeof ct id
		size 65536
		flags dynamic,timeout
		timeout 4s
	}
	chain hold {
	}
	chain answers {
		type filter hook postrouting priority 2147483646; policy accept;
		ct direction reply tcp flags & (syn | ack) == syn | ack jump hold
		ct direction reply meta l4proto { udp, udplite, sctp } ct status & assured == 0 ct id != @seen add @seen { ct id } jump hold
	}
}
`;

/**
 * Puts the rules in, in one transaction; what an earlier run has left is replaced.
 * @param bypass false only in tests: without a listener the kernel then drops what the rules catch
 * @throws Error in one line
 */
export async function putDeferRules(bypass = true): Promise<void> {
  const rule = `queue ${bypass ? 'flags bypass ' : ''}to ${DEFER_QUEUE}`;
  if ((await applyNft(RULES.replace('chain hold {', `chain hold {\n\t\t${rule}`))) === null) return;
  const plain = await applyNft(RULES);
  if (plain !== null) throw new Error(plain.split('\n')[0]);
  addOldRule(bypass);
}

/** Takes them away; nothing happens where there are none. Resolves with null, or why they are still there. */
export async function removeDeferRules(): Promise<string | null> {
  return hasDeferRules() ? ((await applyNft(REMOVE))?.split('\n')[0] ?? null) : null;
}

/** One system call of microseconds. @throws SysError */
export function hasDeferRules(): boolean {
  const client = new NetlinkClient(NETLINK_NETFILTER);
  const ask = new MessageBuilder(GETTABLE, NLM_F_REQUEST | NLM_F_ACK, Buffer.of(NFPROTO_INET, 0, 0, 0));
  try {
    client.request(ask.string(1, DEFER_TABLE), 'look for the table');
    return true;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

/** The rule as the older target: queue number, queues, flags (1 bypass), padded to 8 bytes; host order. */
function addOldRule(bypass: boolean): void {
  const info = Buffer.alloc(8);
  for (const [at, value] of [DEFER_QUEUE, 1, bypass ? 1 : 0].entries()) info.writeUInt16LE(value, at * 2);
  const batch = (type: number): Buffer =>
    Buffer.from(new MessageBuilder(type, NLM_F_REQUEST, Buffer.of(0, 0, 0, 10)).finish(1));
  const rule = new MessageBuilder(
    NEWRULE,
    NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND,
    Buffer.of(NFPROTO_INET, 0, 0, 0),
  )
    .string(1, DEFER_TABLE)
    .string(2, 'hold')
    .nest(4, (list) =>
      list.nest(1, (one) =>
        one.string(1, 'target').nest(2, (data) =>
          data
            .string(1, 'NFQUEUE')
            .attr(2, Buffer.of(0, 0, 0, 3))
            .attr(3, info),
        ),
      ),
    );
  const bytes = Buffer.concat([batch(0x10), Buffer.from(rule.finish(1)), batch(0x11)]);
  const fd = openNetlink(NETLINK_NETFILTER, 0, true);
  try {
    libc().send(fd, bytes, bytes.length, 0);
    const answer = Buffer.alloc(4096);
    const length = libc().recv(fd, answer, answer.length, 0);
    const refusal = parseMessages(answer.subarray(0, Math.max(0, length))).messages.find(
      (message) => message.type === NLMSG_ERROR && parseAck(message).error !== 0,
    );
    if (length < 0 || refusal) throw new Error('this kernel has neither nft_queue nor xt_NFQUEUE');
  } finally {
    closeQuietly(fd);
  }
}

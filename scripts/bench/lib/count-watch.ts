/**
 * How many connections this kernel holds, looked at about every ms: `monotonic_ns count` a line, only when it changed.
 * Runs in a firewall's namespace until it is killed or the time is over.
 *
 * Usage: count-watch.ts SECONDS
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { libc } from '../../../src/kernel/libc.ts';

const PERIOD_US = 700;

const fd = openSync('/proc/sys/net/netfilter/nf_conntrack_count', 'r');
const text = Buffer.alloc(32);
const until = process.hrtime.bigint() + BigInt(process.argv[2] ?? '10') * 1_000_000_000n;
let last = -1;
let lines: string[] = [];
for (let now = process.hrtime.bigint(); now < until; now = process.hrtime.bigint()) {
  const count = Number(text.toString('latin1', 0, readSync(fd, text, 0, text.length, 0)));
  if (count !== last) lines.push(`${process.hrtime.bigint()} ${count}`);
  last = count;
  if (lines.length >= 64) {
    process.stdout.write(`${lines.join('\n')}\n`);
    lines = [];
  }
  libc().usleep(PERIOD_US);
}
closeSync(fd);
process.stdout.write(`${lines.join('\n')}\n`);

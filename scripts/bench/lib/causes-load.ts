/**
 * What the benches by cause share: the lab with UDP flows that nobody answers, which live for an hour, how many each
 * kernel holds, and what the sync link carries.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { command, pause, which } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { bare, FIREWALLS, type FirewallName, PORTS, SERVER_IP } from '../../lab/plan.ts';
import { STORM_PORTS } from '../../lab/traffic/storm.ts';

const STORM = fileURLToPath(new URL('../../lab/traffic/storm.ts', import.meta.url));
export const CLIENT = bare(PORTS.client[0]?.addresses[0] ?? '');
/** Generator and watcher must not wait for a processor, or the lag is theirs. */
export const PROMPT = which('chrt') ? ['chrt', '-r', '30'] : [];
/** The kernel forgets unanswered UDP flows after 30 s; a slow machine needs longer than that. */
const KEEP = 'echo 3600 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout';
/** How long anything may take, ms. */
export const WITHIN = 60_000;

/** `storm.ts` and what it is told, but for the number of the first flow. */
export const stormOf = (rate: number, count: number): string[] => [
  ...PROMPT,
  process.execPath,
  STORM,
  CLIENT,
  SERVER_IP,
  String(rate),
  String(count),
];

export class Load {
  readonly lab = new Lab();
  first = 0;
  /** Bytes a ms on a link on which nothing happens. */
  idle = 0;
  private readonly rate: number;
  private ended = 0;

  /** @param rate new flows a second */
  constructor(rate: number) {
    this.rate = rate;
  }

  async prepare(): Promise<void> {
    await this.lab.up();
    const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
    const rules = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
    await command(['ip', 'netns', 'exec', 'server', 'nft', rules]);
    for (const node of FIREWALLS) await this.lab.exec(node, ['sh', '-c', KEEP]);
  }

  async storm(count: number, perSecond = this.rate): Promise<void> {
    await this.lab.exec('client', [...stormOf(perSecond, count), String(this.first)], { timeoutMs: WITHIN });
    this.first += count;
  }

  /** The oldest that are left end one by one on fw-a. */
  async end(count: number): Promise<void> {
    const lines = Array.from({ length: count }, (_, i) => {
      const n = this.ended + i;
      const port = STORM_PORTS.low + Math.floor(n / 60_000);
      return `-D -p udp -s ${CLIENT} -d ${SERVER_IP} --sport ${1024 + (n % 60_000)} --dport ${port}`;
    });
    this.ended += count;
    const file = '/run/lab/ended';
    writeFileSync(file, `${lines.join('\n')}\n`);
    // It tells each of them, and stops at one that has gone already.
    await this.lab.exec('fw-a', ['sh', '-c', `conntrack -R ${file} >/dev/null 2>&1`], {
      timeoutMs: WITHIN,
      check: false,
    });
  }

  async held(node: FirewallName): Promise<number> {
    return Number((await this.lab.exec(node, ['cat', '/proc/sys/net/netfilter/nf_conntrack_count'])).stdout);
  }

  /** Bytes a ms on the link. */
  async rateNow(ms: number): Promise<number> {
    const [at, bytes] = [performance.now(), await this.lab.syncBytes()];
    await pause(ms);
    return ((await this.lab.syncBytes()) - bytes) / (performance.now() - at);
  }
}

/** Temporary until kernel/nft.ts is here. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { macvlanName } from '../carp/vip.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { Log } from './log.ts';
export class Firewall {
  constructor(_log: Log) {}
  async apply(config: Config, vips: readonly ResolvedVip[]): Promise<void> {
    const roles: Record<string, string[]> = {};
    for (const [r, d] of Object.entries(config.interfaces))
      roles[r] = [d, ...vips.filter((v) => v.interface === r).map((v) => macvlanName(v.vhid, r))];
    const defines = Object.entries(roles)
      .map(([r, d]) => `define ${r} = { ${d.map((x) => `"${x}"`).join(', ')} }`)
      .join('\n');
    const own =
      'table inet carpio { chain nat { type nat hook postrouting priority srcnat; }\n chain f { type filter hook forward priority 0; ct state invalid counter; }\n chain raw { type filter hook prerouting priority raw; ip protocol { 112, 240 } notrack; }\n chain rawo { type filter hook output priority raw; ip protocol { 112, 240 } notrack; }\n }';
    execFileSync('nft', ['-f', '-'], { input: `table inet carpio {}\ndelete table inet carpio\n${own}\n` });
    if (config.firewall?.rules)
      execFileSync('nft', ['-f', '-'], {
        input: `${defines}\n${readFileSync(config.firewall.rules, 'utf8').replace('flush ruleset', '')}`,
      });
    execFileSync('sysctl', ['-qw', 'net.netfilter.nf_conntrack_events=1', 'net.ipv4.ip_forward=1']);
  }
  async release(): Promise<void> {}
}

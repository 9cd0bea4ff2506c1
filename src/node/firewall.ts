/**
 * nftables and the kernel's switches: Carpio's own table, the user's rules in one transaction with it, forwarding and
 * connection events. The switches are put back at a clean stop; the user's rules stay, a firewall does not open by
 * itself.
 */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PAIR_PORT } from '../channel/pairing/tls.ts';
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import { messageOf } from '../contract/message-of.ts';
import { macvlanName } from '../gate/vip.ts';
import { applyNft } from '../kernel/nft.ts';
import type { TableName } from '../kernel/nft-scan.ts';
import { OWN_TABLE, REMOVE_OWN_TABLE } from '../kernel/nft-text.ts';
import type { RulesetOptions } from '../kernel/ruleset.ts';
import { Ruleset } from '../kernel/ruleset.ts';
import { type SettingChanged, Sysctls } from '../kernel/sysctl.ts';
import { hasPeerChannel } from './channel.ts';
import type { Log } from './report/log.ts';

/** Longest rules file, bytes. */
const MAX_RULES = 16 * 1024 * 1024;

export class Firewall {
  private readonly log: Log;
  private readonly sysctls: Sysctls;
  private readonly ruleset = new Ruleset();
  private applied = false;
  private loaded: string | null = null;
  private inForce: RulesetOptions | null = null;

  /** @param runDir where changed kernel settings are remembered over a kill -9 */
  constructor(runDir: string, log: Log) {
    this.sysctls = new Sysctls(join(runDir, 'sysctl-firewall.json'));
    this.log = log;
  }

  /**
   * Loads the rules file and Carpio's own table in one transaction: there is no moment without either, and a file that
   * the kernel refuses changes nothing.
   * @throws Error with file, line and what nft says
   */
  async apply(config: Config, vips: readonly ResolvedVip[]): Promise<void> {
    const options = rulesetOptions(config, vips);
    const refused = await this.ruleset.load(options);
    if (refused !== null) throw new Error(refused);
    this.applied = true;
    this.inForce = options;
    this.loaded = options.rules?.text ?? null;
    const { forgot } = this.ruleset;
    if (forgot !== null) this.log.warning(`named counters and dynamic sets of the rules begin anew: ${forgot}`);
    this.setSwitches(config);
  }

  /** Loads what is in force once more, as it was read then: a file that was edited since waits for a reload. */
  async again(): Promise<void> {
    const refused = this.inForce === null ? null : await this.ruleset.load(this.inForce);
    if (refused !== null) throw new Error(refused);
  }

  /** Kernel settings that somebody has changed since `apply`: they are set again. */
  putBackSettings(): SettingChanged[] {
    return this.sysctls.putBack();
  }

  /** The rules in force, as text, and the tables that they make; null: no [firewall] rules. */
  get rules(): { text: string | null; tables: readonly TableName[] } {
    return { text: this.loaded, tables: this.ruleset.tables };
  }

  /** What stands in the kernel because of `apply`, and is looked after. */
  get kept(): { table: TableName; whole: boolean }[] {
    if (!this.applied) return [];
    const users = this.ruleset.tables.map((table) => ({ table, whole: false }));
    return [{ table: OWN_TABLE, whole: true }, ...users];
  }

  /** Why `apply` would refuse these rules, in one line; null: it would not. Nothing is changed. */
  async objection(config: Config, vips: readonly ResolvedVip[]): Promise<string | null> {
    try {
      return await this.ruleset.check(rulesetOptions(config, vips));
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Takes back what `apply` did, and nothing when it never succeeded: another node's table may stand here. */
  async release(): Promise<void> {
    if (!this.applied) return;
    const said = await applyNft(REMOVE_OWN_TABLE);
    if (said !== null) this.log.warning(`Carpio's nftables table stays: ${said.split('\n')[0]}`);
    for (const error of this.sysctls.restore()) this.log.warning(error.message);
  }

  // Events must be on before the first flow: those that are older than the switch never report (value 2, "auto", is not
  // enough for flows that begin before the listener).
  private setSwitches(config: Config): void {
    if (config.sync !== null) {
      this.sysctls.set(['net', 'netfilter', 'nf_conntrack_events'], '1');
      // Mirrored entries carry the liberal flag; connections that come back to their first node need it too.
      this.sysctls.set(['net', 'netfilter', 'nf_conntrack_tcp_be_liberal'], '1');
    }
    if (config.firewall?.forward !== true) return;
    this.sysctls.set(['net', 'ipv4', 'ip_forward'], '1');
    try {
      this.sysctls.set(['net', 'ipv6', 'conf', 'all', 'forwarding'], '1');
    } catch (error) {
      this.log.warning(`IPv6 is not forwarded: ${messageOf(error)}`);
    }
  }
}

function rulesetOptions(config: Config, vips: readonly ResolvedVip[]): RulesetOptions {
  const roles: Record<string, string[]> = {};
  for (const [role, device] of Object.entries(config.interfaces)) {
    const virtual = vips.filter((vip) => vip.interface === role && vip.mac === 'virtual');
    roles[role] = [device, ...virtual.map((vip) => macvlanName(vip.vhid, role))];
  }
  const syncRole = config.sync?.interface;
  return {
    roles,
    carpDevices: [...new Set(vips.flatMap((vip) => roles[vip.interface] ?? []))],
    senderRate: senderRate(vips),
    syncDevice: syncRole === undefined ? null : (config.interfaces[syncRole] ?? null),
    peerPorts: hasPeerChannel(config) && config.sync !== null ? [config.sync.port, PAIR_PORT] : [PAIR_PORT],
    rules: rulesInForce(config),
  };
}

/** Four times what a host sends with these vhids and timers in both families, at least 400 a second. */
function senderRate(vips: readonly ResolvedVip[]): number {
  const perSecond = vips.reduce((sum, { advbase, advskew }) => sum + 1 / Math.max(advbase + advskew / 256, 1 / 256), 0);
  return Math.max(400, Math.ceil(8 * perSecond));
}

/**
 * The text of the rules that this configuration names, read now. @throws Error when the file cannot be read or is too
 * long
 */
export function rulesText(config: Config): string | null {
  return rulesInForce(config)?.text ?? null;
}

function rulesInForce({ firewall }: Config): RulesetOptions['rules'] {
  if (firewall?.replicated !== undefined) {
    const { text, from, directory } = firewall.replicated;
    return { path: `rules of ${from}`, text, directory };
  }
  const path = firewall?.rules ?? null;
  return path === null ? null : { path, text: readRules(path) };
}

function readRules(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_RULES) throw new Error(`found ${size} bytes, allowed at most ${MAX_RULES}`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`[firewall] rules: ${path}: ${messageOf(error)}`);
  }
}

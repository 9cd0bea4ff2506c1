/** Real configuration files for the lab's two firewalls, as an administrator would write them. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { bare, DEVICES, FEED_PORT, type FirewallName, LAN_NET, otherOf, PORTS, VIPS } from './plan.ts';

export interface NodePaths {
  /** Outlives a reboot: configuration, state, log. */
  disk: string;
  /** Wiped by a reboot: sockets. */
  run: string;
  config: string;
  rules: string;
  control: string;
  feed: string;
  log: string;
  /** What enters the state machines, when it is recorded. */
  record: string;
}

export interface ConfigOptions {
  /** False: no [sync] section at all. */
  sync?: boolean;
  /** False: the sync link is not sealed. */
  sealed?: boolean;
  advbase?: number;
  /** By node; 0 and 100 when left out. */
  advskew?: Partial<Record<FirewallName, number>>;
  syncWhen?: 'all' | 'answered' | 'assured';
  /** Bytes; small, so that events overflow. */
  eventBuffer?: number;
  /** The daemons record what enters their state machines. */
  record?: boolean;
  /** TOML put at the end of the file. */
  extra?: string;
  /** Anything else: gets the whole text and gives another. */
  edit?: (text: string, node: FirewallName) => string;
}

const BASE = '/run/lab';
const KEY = `${BASE}/pair.key`;

export function pathsOf(node: FirewallName): NodePaths {
  const disk = `${BASE}/${node}`;
  const run = `${disk}/run`;
  return {
    disk,
    run,
    config: `${disk}/carpio.toml`,
    rules: `${disk}/rules.nft`,
    control: `${run}/control.sock`,
    feed: `${run}/feed.sock`,
    log: `${disk}/carpio.log`,
    record: `${disk}/record.jsonl`,
  };
}

/** What a reboot does to the machine's memory file systems. */
export function wipeRun(node: FirewallName): void {
  rmSync(pathsOf(node).run, { recursive: true, force: true });
  mkdirSync(pathsOf(node).run, { recursive: true, mode: 0o755 });
}

/** Writes everything `carpio run` reads; both nodes get the same pair key. */
export function writeConfig(node: FirewallName, options: ConfigOptions = {}): NodePaths {
  const paths = pathsOf(node);
  mkdirSync(`${paths.disk}/state`, { recursive: true, mode: 0o700 });
  mkdirSync(paths.run, { recursive: true, mode: 0o755 });
  if (!existsSync(KEY)) writeFileSync(KEY, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  writeFileSync(paths.rules, RULES, { mode: 0o644 });
  const text = toml(node, paths, options);
  writeFileSync(paths.config, options.edit?.(text, node) ?? text, { mode: 0o600 });
  return paths;
}

function toml(node: FirewallName, paths: NodePaths, options: ConfigOptions): string {
  const skew = options.advskew?.[node] ?? (node === 'fw-a' ? 0 : 100);
  return `[node]
name = "${node}"
state_dir = "${paths.disk}/state"
control = "${paths.control}"

[interfaces]
wan = "${DEVICES.wan}"
lan = "${DEVICES.lan}"
sync = "${DEVICES.sync}"

[carp]
preempt = true
log = 1
${vip('wan', skew, options)}${vip('lan', skew, options)}${options.sync === false ? '' : sync(node, options)}
[firewall]
rules = "${paths.rules}"
forward = true

[feed]
listen = ["127.0.0.1:${FEED_PORT}", "unix:${paths.feed}"]
${options.extra ?? ''}`;
}

function vip(role: 'wan' | 'lan', skew: number, options: ConfigOptions): string {
  const { vhid, addresses } = VIPS[role];
  return `
[[vip]]
vhid = ${vhid}
interface = "${role}"
addresses = [${addresses.map((address) => `"${address}"`).join(', ')}]
password = "lab pass phrase"
advbase = ${options.advbase ?? 1}
advskew = ${skew}
`;
}

function sync(node: FirewallName, options: ConfigOptions): string {
  const peer = PORTS[otherOf(node)].find((port) => port.cable === 'sync')!;
  return `
[sync]
interface = "sync"
peer = "${bare(peer.addresses[0]!)}"
${options.sealed === false ? '' : `key_file = "${KEY}"\n`}sync_when = "${options.syncWhen ?? 'answered'}"
${options.eventBuffer === undefined ? '' : `event_buffer = ${options.eventBuffer}\n`}`;
}

/** Nothing in but the cluster's own and ICMP; out from the LAN, behind the virtual WAN address. */
const RULES = `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    iifname $sync accept
    meta l4proto 112 accept
    meta l4proto { 1, 58 } accept # ICMP by number: the names need /etc/protocols, which a bare Debian lacks
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname $lan oifname $wan ct state new accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname $wan ip saddr ${LAN_NET} snat ip to ${bare(VIPS.wan.addresses[0])}
  }
}
`;

/**
 * keepalived and ucarp in the same lab, configured as their documentation advises for a pair of firewalls. Without
 * conntrackd: a UDP probe through source NAT does not need it, and its take-over script would only cost them time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Lab } from '../../lab/lab.ts';
import { bare, DEVICES, FIREWALLS, type FirewallName, LAN_NET, PORTS, VIPS } from '../../lab/plan.ts';
import type { Cluster } from './failover-cluster.ts';

const folder = (node: FirewallName): string => `/run/lab/${node}`;
const vip = { lan: VIPS.lan.addresses[0], wan: VIPS.wan.addresses[0] } as const;

/** The same filter and NAT rules that Carpio loads in this lab. */
export const RULES = `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    iifname ${DEVICES.sync} accept
    meta l4proto 112 accept
    meta l4proto { 1, 58 } accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname ${DEVICES.lan} oifname ${DEVICES.wan} ct state new accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname ${DEVICES.wan} ip saddr ${LAN_NET} snat ip to ${bare(vip.wan)}
  }
}
`;

/** A product whose daemons are ordinary programs; a planned hand-over is a stop, the way back a start. */
abstract class Incumbent implements Cluster {
  readonly #lab: Lab;
  readonly #children = new Map<FirewallName, ChildProcess[]>();

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Writes the node's files and tells which programs to start. */
  protected abstract configure(node: FirewallName): string[][];

  async start(): Promise<void> {
    for (const node of FIREWALLS) await this.#boot(node);
  }

  async #boot(node: FirewallName): Promise<void> {
    await this.#lab.exec(node, ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    await this.#lab.exec(node, ['nft', '-f', '-'], { input: RULES });
    this.#run(node);
  }

  #run(node: FirewallName): void {
    mkdirSync(folder(node), { recursive: true });
    const log = openSync(`${folder(node)}/daemon.log`, 'a');
    const children = this.configure(node).map((argv) => this.#lab.spawn(node, argv, { stdio: ['ignore', log, log] }));
    closeSync(log);
    this.#children.set(node, children);
  }

  async powerOff(node: FirewallName): Promise<void> {
    await this.#lab.powerOff(node);
    this.#children.delete(node);
  }

  async powerOn(node: FirewallName): Promise<void> {
    await this.#lab.powerOn(node);
    await this.#boot(node);
  }

  async handOver(): Promise<void> {
    const running = (this.#children.get('fw-a') ?? []).filter((one) => one.exitCode === null && !one.signalCode);
    const ended = running.map((one) => once(one, 'exit', { signal: AbortSignal.timeout(10_000) }));
    for (const one of running) one.kill('SIGTERM');
    await Promise.all(ended);
  }

  async handBack(): Promise<void> {
    this.#run('fw-a');
  }

  kill(node: FirewallName): void {
    for (const one of this.#children.get(node) ?? []) one.kill('SIGKILL');
  }

  async ready(): Promise<boolean> {
    return true;
  }

  log(node: FirewallName): string {
    const path = `${folder(node)}/daemon.log`;
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }
}

/** `fw-a` preferred; both start as BACKUP, so that a returning box listens first; preemption is the default. */
export function keepalivedConf(node: FirewallName, advertInt: number): string {
  const instance = (name: string, device: string, id: number, address: string): string => `
vrrp_instance ${name} {
  interface ${device}
  state BACKUP
  virtual_router_id ${id}
  priority ${node === 'fw-a' ? 150 : 100}
  advert_int ${advertInt}
  virtual_ipaddress {
    ${address} dev ${device}
  }
}
`;
  return `global_defs {
  router_id ${node}
  vrrp_version 3
  script_user root
}
vrrp_sync_group PAIR {
  group {
    LAN
    WAN
  }
}
${instance('LAN', DEVICES.lan, 51, vip.lan)}${instance('WAN', DEVICES.wan, 52, vip.wan)}`;
}

export class Keepalived extends Incumbent {
  readonly #advertInt: number;

  constructor(lab: Lab, advertInt: number) {
    super(lab);
    this.#advertInt = advertInt;
  }

  protected override configure(node: FirewallName): string[][] {
    const at = folder(node);
    // A reboot empties /run, and a daemon that finds its old number there does not start.
    for (const old of ['keepalived.pid', 'vrrp.pid']) rmSync(`${at}/${old}`, { force: true });
    writeFileSync(`${at}/keepalived.conf`, keepalivedConf(node, this.#advertInt));
    const pids = ['-p', `${at}/keepalived.pid`, '-r', `${at}/vrrp.pid`];
    return [['keepalived', '-n', '-l', '-D', '-P', '-f', `${at}/keepalived.conf`, ...pids]];
  }
}

const SCRIPTS = {
  'vip-up': '#!/bin/sh\nexec ip addr add "$2/24" dev "$1"\n',
  'vip-down': '#!/bin/sh\nexec ip addr del "$2/24" dev "$1"\n',
};

/** One daemon per address, as the program wants it; -z: its down script runs when it is stopped. */
function ucarpArguments(node: FirewallName): string[][] {
  return (['lan', 'wan'] as const).map((role) => {
    const own = bare(PORTS[node].find((port) => port.cable === role)?.addresses[0] ?? '');
    const identity = ['-i', DEVICES[role], '-s', own, '-v', String(VIPS[role].vhid), '-p', 'labpass'];
    const timing = ['-b', '1', '-k', node === 'fw-a' ? '0' : '100', '-r', '3'];
    const scripts = ['-z', '-n', '-u', '/run/lab/vip-up', '-d', '/run/lab/vip-down'];
    return ['ucarp', ...identity, '-a', bare(vip[role]), ...timing, ...(node === 'fw-a' ? ['-P'] : []), ...scripts];
  });
}

export class Ucarp extends Incumbent {
  protected override configure(node: FirewallName): string[][] {
    for (const [name, text] of Object.entries(SCRIPTS)) writeFileSync(`/run/lab/${name}`, text, { mode: 0o755 });
    return ucarpArguments(node);
  }
}

export const ucarpShown = (): string =>
  [
    ...FIREWALLS.flatMap((node) => ucarpArguments(node).map((argv) => `${node}: ${argv.join(' ')}`)),
    ...Object.entries(SCRIPTS).map(([name, text]) => `${name}:\n${text}`),
  ].join('\n');

/** @returns the program's own word about its version */
export async function versionOf(program: string, argument: string): Promise<string> {
  const child = spawn(program, [argument], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  await Promise.race([once(child, 'close'), once(child, 'error')]);
  return /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? 'unknown';
}

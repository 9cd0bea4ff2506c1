/**
 * Client, LAN switch, two firewalls, WAN switch, server and the sync cable, as network namespaces with real veth
 * devices and bridges. Must run inside enter.ts's namespaces. What a machine is made of stands in plan.ts.
 *
 * The sync cable is a bridge with two ports, both of which go down when it is cut: that way both ends lose the carrier
 * and neither of them loses its addresses, as with a real cable.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { command, type Output, until } from './command.ts';
import {
  bare,
  CABLES,
  type Cable,
  FIREWALLS,
  type FirewallName,
  type NodeName,
  PORTS,
  portName,
  SWITCH,
  VIPS,
} from './plan.ts';

const MACHINES: readonly NodeName[] = ['client', 'server', ...FIREWALLS];

/** What an administrator sets on any machine of this kind; everything that belongs to Carpio is left to Carpio. */
const SYSCTLS = {
  everywhere: [
    'net/ipv4/conf/all/rp_filter=0',
    'net/ipv4/conf/default/rp_filter=0',
    'net/ipv4/conf/all/send_redirects=0',
    'net/ipv4/conf/default/send_redirects=0',
    'net/ipv6/conf/all/disable_ipv6=0',
    'net/ipv6/conf/default/disable_ipv6=0',
    'net/ipv6/conf/default/accept_dad=0',
    'net/ipv6/conf/default/accept_ra=0',
  ],
  // A TCP packet without a known connection must not silently found one: an unsynchronised connection really dies.
  firewall: ['net/netfilter/nf_conntrack_tcp_loose=0'],
  host: ['net/ipv4/ip_local_port_range=20000 60999'],
};

/** A bridge in the path must not send its frames through the machine's own packet filter. */
const SWITCH_SYSCTLS = ['iptables', 'ip6tables', 'arptables'].map((table) => `net/bridge/bridge-nf-call-${table}=0`);

const HANG_RULES = `
table inet hang {
  chain i { type filter hook prerouting priority -400; policy drop; }
  chain o { type filter hook output priority -400; policy drop; }
}
table arp hang {
  chain i { type filter hook input priority 0; policy drop; }
  chain o { type filter hook output priority 0; policy drop; }
}
`;

export class Lab {
  readonly off = new Set<FirewallName>();
  readonly hung = new Set<FirewallName>();
  readonly #cuts = new Set<string>();
  #last: Promise<unknown> = Promise.resolve();

  /** Builds everything. Takes a few hundred ms. */
  async up(): Promise<void> {
    await command(['ip', 'netns', 'add', SWITCH]);
    const bridges = CABLES.flatMap((cable) => [
      // A bridge forwards at once and to everybody: no learning delay, no snooping that eats groups without a querier.
      `link add ${cable} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set ${cable} up`,
    ]);
    await this.#batch(SWITCH, bridges);
    await this.#sysctl(SWITCH, SWITCH_SYSCTLS, false);
    for (const node of MACHINES) await this.#assemble(node);
    await this.#plug();
    await until('every port to have a carrier', () => this.#allCarriers(), { withinMs: 5000 });
  }

  // The kernel tells of carriers from a queue of its own, up to a second late: what begins before would see them come.
  async #allCarriers(): Promise<true | null> {
    for (const node of MACHINES) {
      const { stdout } = await command(['ip', '-n', node, '-br', 'link']);
      if (stdout.includes('NO-CARRIER')) return null;
    }
    return true;
  }

  /** Ends whatever still runs in the machines and removes them. (The lab also vanishes with its process.) */
  async down(): Promise<void> {
    for (const node of MACHINES) await this.#killAll(node);
    for (const node of [...MACHINES, SWITCH]) await command(['ip', 'netns', 'del', node], { check: false });
  }

  /** Runs a program in a machine to its end. */
  exec(node: string, argv: readonly string[], options: Parameters<typeof command>[1] = {}): Promise<Output> {
    return command(['ip', 'netns', 'exec', node, ...argv], options);
  }

  /** Starts a program in a machine; the child's pid is the program's own. */
  spawn(node: NodeName, argv: readonly string[], options: Parameters<typeof spawn>[2] = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', node, ...argv], options);
  }

  /** Pulls a cable. `sync` is one cable, whichever end is named. */
  async cut(node: FirewallName, cable: Cable): Promise<void> {
    this.#cuts.add(cutName(node, cable));
    await this.#alone(() => this.#plug());
  }

  async heal(node: FirewallName, cable: Cable): Promise<void> {
    this.#cuts.delete(cutName(node, cable));
    await this.#alone(() => this.#plug());
  }

  isCut(node: FirewallName, cable: Cable): boolean {
    return this.#cuts.has(cutName(node, cable));
  }

  /**
   * The power goes: processes are frozen first (a dead machine does not notice its own carrier loss and says no
   * goodbye), then all its cables go dead, then the processes go.
   */
  async powerOff(node: FirewallName): Promise<void> {
    const pids = this.pids(node);
    signalAll(pids, 'SIGSTOP');
    this.off.add(node);
    await this.#alone(() => this.#plug());
    await this.#killAll(node);
    this.hung.delete(node);
  }

  /** Power back: a new namespace, so that no table, address or device outlives the reboot. The disk is not touched. */
  powerOn(node: FirewallName): Promise<void> {
    return this.#alone(() => this.#boot(node));
  }

  async #boot(node: FirewallName): Promise<void> {
    await this.#killAll(node);
    await this.#batch(
      SWITCH,
      PORTS[node].map((port) => `link del ${portName(node, port.cable)}`),
    );
    await command(['ip', 'netns', 'del', node]);
    await this.#assemble(node);
    this.off.delete(node);
    await this.#plug();
  }

  /** The machine hangs: processes frozen, kernel deaf and mute, all links up (the switches learn nothing of it). */
  async hang(node: FirewallName): Promise<void> {
    signalAll(this.pids(node), 'SIGSTOP');
    await this.exec(node, ['nft', '-f', '-'], { input: HANG_RULES });
    this.hung.add(node);
  }

  /** The hang is over: the machine goes on where it stopped. */
  async unhang(node: FirewallName): Promise<void> {
    await this.exec(node, ['nft', '-f', '-'], { input: 'delete table inet hang\ndelete table arp hang\n' });
    this.hung.delete(node);
    signalAll(this.pids(node), 'SIGCONT');
  }

  /** Processes whose network is this machine's. */
  pids(node: string): number[] {
    const wanted = `net:[${statSync(`/run/netns/${node}`).ino}]`;
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => networkOf(name) === wanted)
      .map(Number);
  }

  /** Kernel truth: which machines that are on hold a virtual address on a device that is up. */
  async holders(address: string): Promise<FirewallName[]> {
    const on = FIREWALLS.filter((node) => !this.off.has(node));
    const held = await Promise.all(on.map((node) => this.#holds(node, bare(address))));
    return on.filter((_node, i) => held[i]);
  }

  /** An address on a device that is up, and not behind a closed gate. */
  async #holds(node: FirewallName, address: string): Promise<boolean> {
    const gates = await this.openGates(node);
    const { stdout } = await command(['ip', '-n', node, '-j', 'addr', 'show', 'up']);
    const devices = JSON.parse(stdout) as { ifname: string; addr_info?: { local?: string }[] }[];
    const answers = devices.filter(({ ifname }) => gates !== 0 || ifname === 'lo');
    return answers.some(({ addr_info }) => addr_info?.some((info) => info.local === address));
  }

  /** How many gates are open in a node's kernel (src/gate/table.ts); null: it has none. */
  async openGates(node: FirewallName): Promise<number | null> {
    const list = ['ip', 'netns', 'exec', node, 'nft', '-j', 'list', 'set', 'netdev', 'carpio_gate', 'alive'];
    const { stdout, code } = await command(list, { check: false });
    if (code !== 0) return null;
    const { nftables } = JSON.parse(stdout) as { nftables: { set?: { elem?: unknown[] } }[] };
    return nftables.reduce((sum, { set }) => sum + (set?.elem?.length ?? 0), 0);
  }

  /**
   * Bytes that have crossed the sync cable in both directions, Ethernet frames without checksum, as the switch port
   * counts.
   */
  async syncBytes(): Promise<number> {
    const { stdout } = await command(['ip', '-n', SWITCH, '-s', '-j', 'link', 'show', 'dev', portName('fw-b', 'sync')]);
    const [link] = JSON.parse(stdout) as [{ stats64: { rx: { bytes: number }; tx: { bytes: number } } }];
    return link.stats64.rx.bytes + link.stats64.tx.bytes;
  }

  async #assemble(node: NodeName): Promise<void> {
    await command(['ip', 'netns', 'add', node]);
    const firewall = FIREWALLS.some((name) => name === node);
    // The defaults must be set before the devices exist, because a device copies them when it is made.
    await this.#sysctl(node, SYSCTLS.everywhere, true);
    await this.#batch(
      SWITCH,
      PORTS[node].flatMap(({ cable, device, mac }) => [
        `link add ${portName(node, cable)} type veth peer name ${device} address ${mac} netns ${node}`,
        `link set ${portName(node, cable)} master ${cable}`,
      ]),
    );
    await this.#batch(node, [
      'link set lo up',
      ...PORTS[node].flatMap(({ device, addresses }) => [
        ...addresses.map((address) => `addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`),
        `link set ${device} up`,
      ]),
      ...(firewall ? [] : defaultRoutes(node)),
    ]);
    if (firewall) await this.#sysctl(node, SYSCTLS.firewall, true);
    else await this.#sysctl(node, SYSCTLS.host, true);
  }

  /** One after the other: while a machine is made anew its ports are gone, and nobody else may look for them. */
  #alone(act: () => Promise<void>): Promise<void> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Puts every switch port up or down as power and cuts say, in one go. */
  async #plug(): Promise<void> {
    const live = (node: NodeName): boolean => !this.off.has(node as FirewallName);
    const lines = MACHINES.flatMap((node) =>
      PORTS[node].map(({ cable }) => {
        const intact =
          cable === 'sync'
            ? FIREWALLS.every(live) && !this.#cuts.has('sync')
            : live(node) && !this.#cuts.has(`${node} ${cable}`);
        return `link set ${portName(node, cable)} ${intact ? 'up' : 'down'}`;
      }),
    );
    await this.#batch(SWITCH, lines);
  }

  async #batch(node: string, lines: readonly string[]): Promise<void> {
    await command(['ip', '-n', node, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  async #sysctl(node: string, settings: readonly string[], needed: boolean): Promise<void> {
    const lines = settings.map((setting) => {
      const [path, value] = setting.split('=') as [string, string];
      return needed
        ? `echo "${value}" >/proc/sys/${path} || exit 1`
        : `[ ! -e /proc/sys/${path} ] || echo "${value}" >/proc/sys/${path}`;
    });
    await this.exec(node, ['sh', '-c', lines.join('\n')]);
  }

  async #killAll(node: string): Promise<void> {
    await until(
      `the processes of ${node} to end`,
      () => {
        const pids = this.pids(node);
        signalAll(pids, 'SIGKILL');
        return pids.length === 0;
      },
      { withinMs: 5000, everyMs: 5 },
    );
  }
}

const cutName = (node: FirewallName, cable: Cable): string => (cable === 'sync' ? 'sync' : `${node} ${cable}`);

function defaultRoutes(node: NodeName): string[] {
  const role = node === 'client' ? 'lan' : 'wan';
  return VIPS[role].addresses.map((address) => `route add default via ${bare(address)}`);
}

function networkOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return null; // it has ended, or is a zombie
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended meanwhile
    }
  }
}

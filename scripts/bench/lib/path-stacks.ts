/** The stacks whose way from the master's kernel into the backup's is measured, in the same lab with the same rules. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { pause, until, which } from '../../lab/command.ts';
import { BINARY, Firewall } from '../../lab/firewall.ts';
import type { Lab } from '../../lab/lab.ts';
import { bare, DEVICES, FIREWALLS, type FirewallName, otherOf, PORTS, VIPS } from '../../lab/plan.ts';
import { RULES } from './failover-incumbents.ts';

export interface PathStack {
  name: string;
  title: string;
  /** Why it can't be measured here. */
  missing: string | null;
  /** Starts both nodes, fw-a forwarding; resolves when states are being synced. Tells the daemons' process ids. */
  start(lab: Lab): Promise<Record<FirewallName, number>>;
}

async function startCarpio(lab: Lab): Promise<Record<FirewallName, number>> {
  const pair = {
    'fw-a': new Firewall(lab, 'fw-a', { syncWhen: 'all' }),
    'fw-b': new Firewall(lab, 'fw-b', { syncWhen: 'all' }),
  };
  await Promise.all([pair['fw-a'].start(30_000), pair['fw-b'].start(30_000)]);
  const inStep = async (): Promise<true | null> => {
    const [a, b] = [await pair['fw-a'].status(), await pair['fw-b'].status()];
    return a?.role === 'master' && b?.sync?.in_step === true ? true : null;
  };
  await until('the pair to be in step', inStep, { withinMs: 30_000 });
  return { 'fw-a': pair['fw-a'].pid ?? 0, 'fw-b': pair['fw-b'].pid ?? 0 };
}

const addressOf = (node: FirewallName): string =>
  bare(PORTS[node].find((port) => port.cable === 'sync')?.addresses[0] ?? '');

/** Bytes of its buffer for the kernel's events. */
interface EventBuffer {
  size: number;
  most: number;
}
const ROOMY: EventBuffer = { size: 2_097_152, most: 8_388_608 };

/** FT-FW over UDP unicast, states straight into the peer's kernel: what Carpio does too. */
function conntrackdConf(node: FirewallName, folder: string, buffer: EventBuffer): string {
  const own = FIREWALLS.flatMap((name) => PORTS[name].flatMap((port) => port.addresses.slice(0, 1).map(bare)));
  return `Sync {
  Mode FTFW {
    DisableExternalCache On
  }
  UDP {
    IPv4_address ${addressOf(node)}
    IPv4_Destination_Address ${addressOf(otherOf(node))}
    Port 3780
    Interface ${DEVICES.sync}
    SndSocketBuffer 1249280
    RcvSocketBuffer 1249280
    Checksum on
  }
}
General {
  Systemd off
  HashSize 131072
  HashLimit 524288
  LogFile ${folder}/conntrackd.log
  LockFile ${folder}/conntrackd.lock
  UNIX {
    Path ${folder}/ctl
  }
  NetlinkBufferSize ${buffer.size}
  NetlinkBufferSizeMaxGrowth ${buffer.most}
  Filter From Kernelspace {
    Protocol Accept {
      TCP
      UDP
      ICMP
    }
    Address Ignore {
      IPv4_address 127.0.0.1
${own.map((address) => `      IPv4_address ${address}`).join('\n')}
    }
  }
}
`;
}

/** Its folder of this node, where its configuration lies too. */
const folderOf = (node: FirewallName): string => `/run/lab/${node}`;

/** The daemon of one node, answering; with what its kernel holds already. */
export async function conntrackdOn(lab: Lab, node: FirewallName, buffer = ROOMY): Promise<ChildProcess> {
  const folder = folderOf(node);
  // A daemon that finds its old lock does not start.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/conntrackd.conf`, conntrackdConf(node, folder, buffer));
  const log = openSync(`${folder}/conntrackd.out`, 'a');
  const child = lab.spawn(node, ['conntrackd', '-C', `${folder}/conntrackd.conf`], { stdio: ['ignore', log, log] });
  await until(`conntrackd on ${node} to answer`, async () => (existsSync(`${folder}/ctl`) ? true : null), {
    withinMs: 10_000,
  });
  return child;
}

/** Asks the daemon of this node for something, such as `-n`: the peer's states anew. */
export async function askConntrackd(lab: Lab, node: FirewallName, what: string): Promise<void> {
  await lab.exec(node, ['conntrackd', '-C', `${folderOf(node)}/conntrackd.conf`, what]);
}

export async function conntrackdPair(lab: Lab, buffer = ROOMY): Promise<Record<FirewallName, ChildProcess>> {
  const children: Partial<Record<FirewallName, ChildProcess>> = {};
  for (const node of FIREWALLS) {
    await lab.exec(node, [
      'sh',
      '-c',
      'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/netfilter/nf_conntrack_events',
    ]);
    await lab.exec(node, ['nft', '-f', '-'], { input: RULES });
    children[node] = await conntrackdOn(lab, node, buffer);
  }
  for (const role of ['lan', 'wan'] as const) {
    await lab.exec('fw-a', ['ip', 'addr', 'add', VIPS[role].addresses[0], 'dev', DEVICES[role]]);
  }
  await pause(1500);
  return children as Record<FirewallName, ChildProcess>;
}

async function startConntrackd(lab: Lab): Promise<Record<FirewallName, number>> {
  const pair = await conntrackdPair(lab);
  return { 'fw-a': pair['fw-a'].pid ?? 0, 'fw-b': pair['fw-b'].pid ?? 0 };
}

export const PATH_STACKS: readonly PathStack[] = [
  {
    name: 'carpio',
    title: 'carpio',
    missing: existsSync(BINARY) ? null : 'dist/carpio is not built: npm run build -- --host',
    start: startCarpio,
  },
  {
    name: 'conntrackd',
    title: 'conntrackd (FT-FW, straight into the kernel)',
    missing: which('conntrackd') ? null : 'conntrackd is missing (apt-get install conntrackd)',
    start: startConntrackd,
  },
];

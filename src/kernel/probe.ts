/**
 * `carpio check`: what the kernel can do is found out by trying it. Each probe leaves nothing behind and never throws.
 */

import type { KernelProbe, PathFacts, ProbeResult } from '../contract/kernel-probe.ts';
import { virtualMac } from '../net/mac.ts';
import { closeQuietly, Errno, Sock, SysError } from './libc.ts';
import { loadRawSocket } from './natives.ts';
import { MessageBuilder, NetlinkClient, NLM_F_ACK, NLM_F_REQUEST, openNetlink } from './netlink.ts';
import { checkNft, runNft } from './nft.ts';
import { ruleDrops } from './nft-drops.ts';
import { carpioTable } from './nft-text.ts';
import { pathMtu, sizesUpTo } from './path-mtu.ts';
import { type Link, Rtnetlink } from './rtnetlink.ts';

const NETLINK_NETFILTER = 12;
const CTNETLINK_EVENTS = 0b111; // new, update, destroy
const CTNETLINK_DELETE = (1 << 8) | 2;
const CTNETLINK_GET_STATS = (1 << 8) | 5;
const CARP = 112;

export const NEEDS_ROOT = 'run as root, or with the capabilities NET_ADMIN and NET_RAW';

/** @param mend what a person does about an error */
export async function tried(
  found: string,
  run: () => void | Promise<void>,
  mend: (error: Error) => string | null,
): Promise<ProbeResult> {
  try {
    await run();
    return { ok: true, found, mend: null };
  } catch (error) {
    const known = error instanceof Error ? error : new Error(String(error));
    return { ok: false, found: known.message, mend: mend(known) };
  }
}

const code = (error: Error): string => (error instanceof SysError ? error.code : '');
export const refused = (error: Error): boolean =>
  ['EPERM', 'EACCES'].includes(code(error)) || /not permitted|EPERM|Permission denied/i.test(error.message);

/** nfgenmsg: family, version, resource id. */
const nfgen = (family: number): Uint8Array => Uint8Array.of(family, 0, 0, 0);

/** Deletes a connection that cannot exist (class E addresses): allowed to write is who is told ENOENT. */
function tryToWrite(client: NetlinkClient): void {
  const message = new MessageBuilder(CTNETLINK_DELETE, NLM_F_REQUEST | NLM_F_ACK, nfgen(Sock.AF_INET)).nest(
    1,
    (tuple) =>
      tuple
        .nest(1, (ip) => ip.attr(1, Uint8Array.of(240, 0, 0, 1)).attr(2, Uint8Array.of(240, 0, 0, 2)))
        .nest(2, (proto) => proto.u8(1, 17).attr(2, Uint8Array.of(0, 1)).attr(3, Uint8Array.of(0, 1))),
  );
  try {
    client.request(message, 'write to the connection tracking table');
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== Errno.ENOENT) throw error;
  }
}

function tryConntrack(): void {
  const client = new NetlinkClient(NETLINK_NETFILTER);
  try {
    const stats = new MessageBuilder(CTNETLINK_GET_STATS, NLM_F_REQUEST | NLM_F_ACK, nfgen(Sock.AF_UNSPEC));
    client.request(stats, 'read the connection tracking table');
    tryToWrite(client);
  } finally {
    client.close();
  }
  closeQuietly(openNetlink(NETLINK_NETFILTER, CTNETLINK_EVENTS, true));
}

/** Something a macvlan can stand on: an Ethernet device that is not itself one. */
function parentOf(links: readonly Link[]): Link | undefined {
  const fits = (link: Link): boolean =>
    link.mac !== '' && link.name !== 'lo' && !['macvlan', 'ipvlan'].includes(link.kind);
  return links.find((link) => fits(link) && link.kind === '') ?? links.find(fits);
}

function tryMacvlan(): void {
  const rtnl = new Rtnetlink();
  try {
    const parent = parentOf(rtnl.links());
    if (parent === undefined) throw new Error('there is no network device to put a macvlan on');
    // Down, and named as ours, so that a later start removes it should this process be killed right here.
    const name = `carp0-${process.pid}`.slice(0, 15);
    const made = rtnl.createMacvlan({ name, parent: parent.index, mac: virtualMac(0), alias: 'carpio probe' });
    rtnl.deleteLink(made.index, made.name);
  } finally {
    rtnl.close();
  }
}

async function tryNft(): Promise<void> {
  const said = await checkNft(carpioTable({ carpDevices: ['lo'], syncDevice: 'lo' }));
  if (said !== null) throw new Error(said.split('\n')[0]);
}

function tryRawSocket(): void {
  loadRawSocket().createSocket({ protocol: CARP, addressFamily: loadRawSocket().AddressFamily.IPv4 }).close();
}

/** ms */
const PATH_WAIT = 900;

async function trySyncPath(device: string, peer: string, mtu: number): Promise<PathFacts> {
  try {
    const { largest, rtt_ms } = await pathMtu(device, peer, sizesUpTo(mtu), PATH_WAIT);
    return { largest, rtt_ms, failed: null };
  } catch (error) {
    return { largest: null, rtt_ms: null, failed: (error as Error).message };
  }
}

export const kernelProbe: Omit<KernelProbe, 'gate'> = {
  conntrackNetlink: () =>
    tried('listed, written to, heard events', tryConntrack, (error) =>
      refused(error) ? NEEDS_ROOT : 'the kernel needs nf_conntrack_netlink (modprobe nf_conntrack_netlink)',
    ),
  nft: () =>
    tried('a table with NAT and connection tracking passes the check', tryNft, (error) => {
      if (error.message.includes('not installed')) return 'apt install nftables';
      return refused(error) ? NEEDS_ROOT : 'the kernel needs nf_tables with nft_ct and nft_nat, nftables 1.0 or later';
    }),
  macvlan: () =>
    tried('made and removed again', tryMacvlan, (error) => {
      if (refused(error)) return NEEDS_ROOT;
      return code(error) === 'EOPNOTSUPP'
        ? 'the kernel needs macvlan (modprobe macvlan), or set mac = "physical"'
        : 'set mac = "physical" for this device, if it cannot carry a macvlan';
    }),
  syncPath: trySyncPath,
  drops: async (peers) => {
    const { output, error } = await runNft(['-j', '-t', 'list', 'ruleset']);
    if (error !== null) throw new Error(error);
    return ruleDrops(JSON.parse(output), peers);
  },
  rawSocket: () => tried('opened for protocol 112', tryRawSocket, (error) => (refused(error) ? NEEDS_ROOT : null)),
};

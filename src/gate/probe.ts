/** `carpio check`: can this kernel have a gate? Found out by trying it; nothing is left behind. */
import type { ProbeResult } from '../contract/kernel-probe.ts';
import { checkNft } from '../kernel/nft.ts';
import { NEEDS_ROOT, refused, tried } from '../kernel/probe.ts';
import { Rtnetlink } from '../kernel/rtnetlink.ts';
import { gateTable } from './table.ts';

const MEND = 'the gate needs Linux 5.16 or later (netdev egress hook) and nftables 1.0.1 or later';

/** Never throws or rejects. */
export function gateProbe(): Promise<ProbeResult> {
  return tried('a table on the way in and out of a device passes the check', tryGate, (error) => {
    if (error.message.includes('loopback')) return 'ip link set lo up';
    if (error.message.includes('not installed')) return 'apt install nftables';
    return refused(error) ? NEEDS_ROOT : MEND;
  });
}

async function tryGate(): Promise<void> {
  const rtnl = new Rtnetlink();
  try {
    if (rtnl.link('lo')?.up !== true) throw new Error('the loopback device lo is down, and the beats travel over it');
  } finally {
    rtnl.close();
  }
  const said = await checkNft(gateTable([{ mark: 1, passMark: 2, mode: 'virtual', device: 'lo', addresses: [] }]));
  if (said !== null) throw new Error(said.split('\n')[0]);
}

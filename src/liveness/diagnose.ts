/** Plain sentences about what is wrong between the hosts of a vhid. Pure. */
import type { DiagnosisName } from '../contract/events.ts';
import { addressBytes, formatIp, sameAddress } from '../net/ip.ts';

export interface Diagnosis {
  what: DiagnosisName;
  reason: string;
}

const bare = (address: string): string => {
  const bytes = addressBytes(address);
  return bytes === null ? address : formatIp(bytes);
};

/**
 * What differs between the two nodes' address lists of one vhid, as only the HMAC sees them: no prefix lengths, no
 * order.
 * @returns null when they are the same
 */
export function differentLists(own: readonly string[], peer: readonly string[]): string | null {
  const [mine, theirs] = [[...new Set(own.map(bare))], [...new Set(peer.map(bare))]];
  const onlyMine = mine.filter((address) => !theirs.includes(address));
  const onlyTheirs = theirs.filter((address) => !mine.includes(address));
  if (onlyMine.length === 0 && onlyTheirs.length === 0) return null;
  const both = mine.filter((address) => theirs.includes(address));
  const also = (who: string, list: string[]): string[] =>
    list.length === 0 ? [] : [`${who} also has ${list.join(', ')}`];
  const start = both.length === 0 ? [] : [`both list ${both.join(', ')}`];
  const parts = [...start, ...also('this node', onlyMine), ...also('the peer', onlyTheirs)];
  return `different address lists: ${parts.join('; ')}; every node must list the same addresses, or neither believes the other`;
}

/** What is known of the sender of an advertisement. */
export interface Sender {
  from: string;
  vhid: number;
  interface: string;
  /** The peer's own addresses on this network; null: there is no peer that told them. */
  peer: readonly string[] | null;
  /** differentLists, or null. */
  lists: string | null;
}

/** An advertisement of an own vhid whose HMAC is wrong. */
export function explainBadAuth({ from, vhid, interface: role, peer, lists }: Sender): Diagnosis {
  if (peer === null) {
    const causes =
      'another password, another address list, or a host that is no part of this pair and uses the same vhid';
    return {
      what: 'password',
      reason: `adverts of vhid ${vhid} from ${from} on ${role} fail authentication: ${causes}`,
    };
  }
  if (!peer.some((own) => sameAddress(own, from))) {
    const mend = 'one of the two needs another vhid';
    return { what: 'foreign_user', reason: `${from} on ${role} is not the peer and uses vhid ${vhid}, too: ${mend}` };
  }
  if (lists !== null) return { what: 'address_list', reason: lists };
  const reason = `wrong password: the peer's adverts of vhid ${vhid} (${from} on ${role}) fail authentication, and both nodes list the same addresses`;
  return { what: 'password', reason };
}

/** A valid advertisement from neither the peer nor this node. */
export function explainStranger({ from, vhid, interface: role, peer }: Sender): Diagnosis | null {
  if (peer === null || peer.length === 0 || peer.some((own) => sameAddress(own, from))) return null;
  const reason = `${from} on ${role} is not the peer and takes part in vhid ${vhid} with the right password: a third node, a recording, or a copy of this configuration`;
  return { what: 'foreign_user', reason };
}

export function explainOwnPackets(vhid: number, role: string): Diagnosis {
  const reason = `this node's own adverts of vhid ${vhid} come back on ${role}: a loop, or a switch or bond that reflects multicast`;
  return { what: 'own_packets', reason };
}

export function explainDuplicate(address: string, mac: string, role: string): Diagnosis {
  const reason = `duplicate address: ${mac} on ${role} says that it has ${address}, which this node is master of; take it away there`;
  return { what: 'duplicate_address', reason };
}

export function explainVirtualMac(address: string, mac: string, master: string, role: string): Diagnosis {
  const reason = `the virtual MAC ${mac} does not pass the switch on ${role}: adverts of the master ${master} arrive, but it cannot be asked for ${address}; allow foreign MAC addresses on the ports (a hypervisor: forged transmits and promiscuous mode), or use mac = "physical"`;
  return { what: 'virtual_mac', reason };
}

/**
 * Whose a connection is while each node is master of something (asm/state/homes.ts has the rule): from what both nodes
 * report of their vhids, the list of virtual addresses and networks with their master. Pure.
 */
import { parsePrefix } from '../../net/ip.ts';

/** `prefix` bits of `bytes` count; a whole address is one virtual address, less is the network around some. */
export interface Home {
  bytes: Uint8Array;
  prefix: number;
  own: boolean;
}

type Whose = 'own' | 'peer' | null;

interface Vhids {
  states: Record<string, string>;
  lists: Record<string, string[]>;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** What a report (liveness/peer-report.ts) says of the vhids; nothing when it is not one. */
export function vhidsOf(report: Uint8Array): Vhids {
  let value: unknown = null;
  try {
    value = JSON.parse(Buffer.from(report).toString('utf8'));
  } catch {
    // Like a report that says nothing.
  }
  const { vhids, lists } = fieldsOf(value);
  const states = Object.entries(fieldsOf(vhids)).map(([key, vhid]) => [key, String(fieldsOf(vhid).state)]);
  const addresses = Object.entries(fieldsOf(lists)).map(([key, list]) => [
    key,
    Array.isArray(list) ? list.filter((one): one is string => typeof one === 'string') : [],
  ]);
  return { states: Object.fromEntries(states), lists: Object.fromEntries(addresses) };
}

/** Null when both nodes or none say to be master of the vhid: the next report decides. */
function masterOf(key: string, own: Vhids, peer: Vhids): Whose {
  const [here, there] = [own.states[key] === 'MASTER', peer.states[key] === 'MASTER'];
  if (here === there) return null;
  return here ? 'own' : 'peer';
}

function masked(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, prefix - 8 * i)))) & 0xff);
}

/** Virtual addresses first, then the networks in which all of them are one node's. */
export function homesOf(own: Vhids, peer: Vhids): Home[] {
  const exact: Home[] = [];
  const networks = new Map<string, { bytes: Uint8Array; prefix: number; whose: Set<Whose> }>();
  for (const [key, list] of Object.entries(own.lists)) {
    const whose = masterOf(key, own, peer);
    for (const text of list) {
      const parsed = parsePrefix(text);
      if (parsed === null) continue;
      const { bytes, length } = parsed;
      if (whose !== null) exact.push({ bytes, prefix: bytes.length * 8, own: whose === 'own' });
      if (length === bytes.length * 8) continue;
      const net = masked(bytes, length);
      const name = `${Buffer.from(net).toString('hex')}/${length}`;
      const network = networks.get(name) ?? { bytes: net, prefix: length, whose: new Set<Whose>() };
      network.whose.add(whose);
      networks.set(name, network);
    }
  }
  const whole = [...networks.values()].flatMap(({ bytes, prefix, whose }) => {
    const [one] = whose;
    return whose.size === 1 && one ? [{ bytes, prefix, own: one === 'own' }] : [];
  });
  return [...exact, ...whole.sort((a, b) => b.prefix - a.prefix)];
}

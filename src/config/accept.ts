/** `[sync] accept`: who may have opened the connections that the peer hands over, as "FROM to TO". Pure. */
import { formatCidr, networkOf, parseAddress, parseCidr } from '../net/cidr.ts';

/** Two networks of one family, as `address/length`. */
interface AcceptRule {
  from: string;
  to: string;
}

interface VirtualAddresses {
  interface: string | null;
  addresses: readonly string[];
}

const ANY = ['0.0.0.0/0', '::/0'];
const SHAPE = /^(\S+) to (\S+)$/;

/** What stands left and right of "to"; `null`: it is not of that form. */
export function acceptSides(text: string): [from: string, to: string] | null {
  const match = SHAPE.exec(text);
  return match?.[1] === undefined || match[2] === undefined ? null : [match[1], match[2]];
}

/**
 * The networks that one side names: `any`, a network, an address, or a role (the networks of its virtual addresses).
 * `null`: none of these.
 */
export function acceptNetworks(side: string, vips: readonly VirtualAddresses[]): string[] | null {
  if (side === 'any') return ANY;
  const address = parseAddress(side);
  const cidr = address === null ? parseCidr(side) : { ...address, prefix: address.bytes.length * 8 };
  if (cidr !== null) return [formatCidr(networkOf(cidr))];
  const own = vips.filter((vip) => vip.interface === side).flatMap((vip) => vip.addresses);
  const networks = own.flatMap((text) => {
    const parsed = parseCidr(text);
    return parsed === null ? [] : [formatCidr(networkOf(parsed))];
  });
  return networks.length > 0 ? [...new Set(networks)] : null;
}

const familyOf = (network: string): 4 | 6 => (network.includes(':') ? 6 : 4);

/** All rules of the list, one for each pair of networks of one family. What names nothing gives none. */
export function acceptRules(list: readonly string[], vips: readonly VirtualAddresses[]): AcceptRule[] {
  return list.flatMap((text) => {
    const [from, to] = (acceptSides(text) ?? ['', '']).map((side) => acceptNetworks(side, vips) ?? []);
    return (from ?? []).flatMap((a) =>
      (to ?? []).filter((b) => familyOf(a) === familyOf(b)).map((b) => ({ from: a, to: b })),
    );
  });
}

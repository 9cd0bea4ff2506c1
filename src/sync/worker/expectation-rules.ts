/**
 * Which of the peer's expectations may enter this kernel: the rules of asm/kernel/accept.ts, for the connections that
 * an expectation lets in.
 *
 * Attributes (uapi nfnetlink_conntrack.h): CTA_EXPECT_TUPLE 2, CTA_EXPECT_MASK 3, CTA_EXPECT_NAT 10; in a tuple
 * CTA_TUPLE_IP 1; in that CTA_IP_V4_SRC 1, CTA_IP_V4_DST 2, CTA_IP_V6_SRC 3, CTA_IP_V6_DST 4.
 */
import { parseAttributes } from '../../kernel/netlink.ts';
import { parseIp, parsePrefix, samePrefix } from '../../net/ip.ts';
import type { AcceptNetworks } from '../table/engine-lists.ts';

const NFGENMSG = 4;
const TUPLE = 2;
const MASK = 3;
const NAT = 10;
const TUPLE_IP = 1;

interface Ends {
  source: Buffer;
  destination: Buffer;
}

/** The addresses in a tuple; `null`: not both of one family. */
function endsOf(tuple: Buffer | undefined): Ends | null {
  const ip = tuple && parseAttributes(tuple).get(TUPLE_IP);
  if (ip === undefined) return null;
  const found = parseAttributes(ip);
  const [source, destination, size] = found.has(1) ? [found.get(1), found.get(2), 4] : [found.get(3), found.get(4), 16];
  return source?.length === size && destination?.length === size ? { source, destination } : null;
}

export class ExpectationRules {
  private own: Uint8Array[] = [];
  /** null: no `[sync] accept`. */
  private readonly accept: [from: string, to: string][] | null;

  constructor(accept: AcceptNetworks | null, own: readonly string[]) {
    this.accept = accept === null ? null : accept.map(({ from, to }) => [from, to]);
    this.setOwn(own);
  }

  /** Replaces this node's own addresses. */
  setOwn(addresses: readonly string[]): void {
    this.own = addresses.flatMap((text) => parseIp(text.split('/')[0] ?? '') ?? []);
  }

  /** @param payload nfgenmsg and attributes */
  allows(payload: Buffer): boolean {
    const attributes = parseAttributes(payload, NFGENMSG);
    const ends = endsOf(attributes.get(TUPLE));
    if (ends === null) return false;
    const isOwn = (address: Buffer): boolean => this.own.some((one) => samePrefix(one, address, 8 * address.length));
    if (isOwn(ends.source)) return false;
    // Behind source NAT the other side opens the connection to the translated address: the kernel then sends it on.
    if (isOwn(ends.destination) && !attributes.has(NAT)) return false;
    return this.accept === null || this.listed(ends, endsOf(attributes.get(MASK)));
  }

  /** The direction may be turned: in FTP's active mode the server opens the second connection. */
  private listed({ source, destination }: Ends, mask: Ends | null): boolean {
    const anySource = mask === null || mask.source.every((byte) => byte === 0);
    const within = (address: Buffer, network: string, any: boolean): boolean => {
      const prefix = parsePrefix(network);
      if (prefix === null || prefix.bytes.length !== address.length) return false;
      return prefix.length === 0 || (!any && samePrefix(prefix.bytes, address, prefix.length));
    };
    return (this.accept ?? []).some(
      ([from, to]) =>
        (within(source, from, anySource) && within(destination, to, false)) ||
        (within(destination, from, false) && within(source, to, anySource)),
    );
  }
}

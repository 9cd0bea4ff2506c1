/**
 * From an answer on its way out to the original tuple of its connection: the same addresses and ports, turned round.
 * Pure. Attributes (uapi nfnetlink_conntrack.h): CTA_TUPLE_IP 1 { v4 1, 2; v6 3, 4 }, CTA_TUPLE_PROTO 2 { number 1,
 * source port 2, destination port 3 }.
 */
const AF_INET = 2;
const AF_INET6 = 10;
const IPV6_HEADER = 40;
const NESTED = 0x8000;
const WITH_PORTS = new Set([6, 17, 33, 132, 136]);

function attribute(type: number, ...values: Uint8Array[]): Buffer {
  const value = Buffer.concat(values);
  const out = Buffer.alloc(4 + ((value.length + 3) & ~3));
  out.writeUInt16LE(4 + value.length, 0);
  out.writeUInt16LE(type, 2);
  value.copy(out, 4);
  return out;
}

interface Ends {
  family: number;
  source: Buffer;
  destination: Buffer;
  protocol: number;
  ports: number;
}

function ends(packet: Buffer): Ends | null {
  const first = packet[0] ?? 0;
  if (first >> 4 === 4 && packet.length >= 20) {
    // A later fragment has no ports.
    if ((packet.readUInt16BE(6) & 0x1fff) !== 0) return null;
    const [source, destination] = [packet.subarray(12, 16), packet.subarray(16, 20)];
    return { family: AF_INET, source, destination, protocol: packet.readUInt8(9), ports: (first & 15) * 4 };
  }
  if (first >> 4 !== 6 || packet.length < IPV6_HEADER) return null;
  const [source, destination] = [packet.subarray(8, 24), packet.subarray(24, 40)];
  return { family: AF_INET6, source, destination, protocol: packet.readUInt8(6), ports: IPV6_HEADER };
}

/**
 * @param packet its first bytes, IP header first
 * @returns the address family and the content of CTA_TUPLE_ORIG; null: cut short, a fragment, or of a protocol without
 *   ports
 */
export function tupleAnswered(packet: Buffer): { family: number; tuple: Buffer } | null {
  const found = ends(packet);
  if (found === null || !WITH_PORTS.has(found.protocol) || packet.length < found.ports + 4) return null;
  const { family, source, destination, protocol, ports } = found;
  const v6 = family === AF_INET6 ? 2 : 0;
  const addresses = [attribute(1 + v6, destination), attribute(2 + v6, source)];
  const proto = [
    attribute(1, Buffer.of(protocol)),
    attribute(2, packet.subarray(ports + 2, ports + 4)),
    attribute(3, packet.subarray(ports, ports + 2)),
  ];
  return { family, tuple: Buffer.concat([attribute(1 | NESTED, ...addresses), attribute(2 | NESTED, ...proto)]) };
}

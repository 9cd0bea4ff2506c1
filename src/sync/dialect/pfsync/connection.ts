/** One connection as conntrack has it: what one or two pf states are together. */

/** ICMP: `sport` is the identifier, `dport` is type << 8 | code. Protocols without ports: 0. */
export interface Tuple {
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

export interface Connection {
  family: 4 | 6;
  proto: number;
  /** The opener's first packet as it came in. */
  orig: Tuple;
  /** The same packet as it left, translated. */
  after: Tuple;
  /** TCP: conntrack's state. Others: 0. */
  tcpState: number;
  /** Shift of the opener and of the other side; null: not known. */
  wscale: readonly [number, number] | null;
  /** Which side closed first: 0 the opener, 1 the other; null: none, or not known. */
  closedBy: 0 | 1 | null;
  seenReply: boolean;
  assured: boolean;
  /** Added to the sequence numbers of the opener, and of the other side. */
  seqDiff: readonly [number, number];
}

export const tupleText = ({ src, dst, sport, dport }: Tuple): string => `${src} ${sport} ${dst} ${dport}`;

/** What names a connection in conntrack: the original tuple. */
export const keyOf = ({ proto, orig }: Pick<Connection, 'proto' | 'orig'>): string => `${proto} ${tupleText(orig)}`;

/**
 * What one record of a pfsync message holds, whatever dialect it came in. Fields that a dialect does not have are 0 or
 * empty. docs/protocol/pfsync.md says what each means.
 */

/** One side of a state: the opener (src) or the other (dst). */
export interface PfSide {
  flags: number;
  ttl: number;
  /** 1: the three fields of scrub are valid. */
  scrub: number;
  tsMod: number;
  seqlo: number;
  seqhi: number;
  seqdiff: number;
  maxWin: number;
  mss: number;
  state: number;
  wscale: number;
}

/** A key: addresses as text of the state's family; place 0 is the far end on the state's interface. */
export interface PfKey {
  addr0: string;
  addr1: string;
  port0: number;
  port1: number;
  rdomain: number;
  /** The sender's number; 0 where the dialect has none. */
  af: number;
}

export interface PfItem {
  /** 8 bytes, hex. With `creatorid` the state's name; neither is ever converted. */
  id: string;
  /** 4 bytes, hex. */
  creatorid: string;
  ifname: string;
  wire: PfKey;
  stack: PfKey;
  src: PfSide;
  dst: PfSide;
  rtAddr: string;
  rule: number;
  anchor: number;
  natRule: number;
  /** Age, s. */
  creation: number;
  /** Remaining life, s. */
  expire: number;
  packets0: bigint;
  packets1: bigint;
  bytes0: bigint;
  bytes1: bigint;
  rtable0: number;
  rtable1: number;
  maxMss: number;
  af: number;
  proto: number;
  direction: number;
  log: number;
  rt: number;
  timeout: number;
  syncFlags: number;
  updates: number;
  minTtl: number;
  setTos: number;
  stateFlags: number;
  setPrio0: number;
  setPrio1: number;
  qid: number;
  pqid: number;
  dnpipe: number;
  dnrpipe: number;
  stackAf: number;
  rtAf: number;
  stackProto: number;
  rtIfname: string;
  origIfname: string;
  tagname: string;
  /** Bulk status: seconds since the request, and 1 start, 2 end. */
  endtime: number;
  status: number;
  /** TDB: 4 bytes hex, 28 bytes hex, counters. */
  spi: string;
  tdbDst: string;
  rpl: bigint;
  curBytes: bigint;
  sproto: number;
  tdbUpdates: number;
  tdbRdomain: number;
}

const emptySide = (): PfSide => ({
  flags: 0,
  ttl: 0,
  scrub: 0,
  tsMod: 0,
  seqlo: 0,
  seqhi: 0,
  seqdiff: 0,
  maxWin: 0,
  mss: 0,
  state: 0,
  wscale: 0,
});

const emptyKey = (): PfKey => ({ addr0: '0.0.0.0', addr1: '0.0.0.0', port0: 0, port1: 0, rdomain: 0, af: 0 });

/** An item in which everything is 0 or empty. */
export function emptyItem(): PfItem {
  return {
    ...{ id: '0'.repeat(16), creatorid: '0'.repeat(8), ifname: '' },
    ...{ wire: emptyKey(), stack: emptyKey(), src: emptySide(), dst: emptySide(), rtAddr: '0.0.0.0' },
    ...{ rule: 0, anchor: 0, natRule: 0, creation: 0, expire: 0 },
    ...{ packets0: 0n, packets1: 0n, bytes0: 0n, bytes1: 0n, rtable0: 0, rtable1: 0, maxMss: 0 },
    ...{ af: 0, proto: 0, direction: 0, log: 0, rt: 0, timeout: 0, syncFlags: 0, updates: 0, minTtl: 0, setTos: 0 },
    ...{ stateFlags: 0, setPrio0: 0, setPrio1: 0, qid: 0, pqid: 0, dnpipe: 0, dnrpipe: 0 },
    ...{ stackAf: 0, rtAf: 0, stackProto: 0, rtIfname: '', origIfname: '', tagname: '', endtime: 0, status: 0 },
    ...{ spi: '0'.repeat(8), tdbDst: '0'.repeat(56), rpl: 0n, curBytes: 0n, sproto: 0, tdbUpdates: 0, tdbRdomain: 0 },
  };
}

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

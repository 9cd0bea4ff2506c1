/**
 * One pf record in the module's memory, whatever dialect it came in: 448 bytes, numbers in host order, fields that a
 * dialect does not have are 0. src/sync/dialect/pfsync/fields.ts imports this file, so that the offsets stand once:
 * plain numbers only, no types and no imports. docs/protocol/pfsync.md says what each field means.
 *
 * id, creatorid, names and addresses stay bytes as on the wire; the family numbers stay the sender's (2, 24, 28).
 */

export const P_ID = 0;
export const P_IFNAME = 8;
/** Two keys of 40 bytes: address 0, address 1, port 0, port 1, rdomain, family. */
export const P_WIRE = 24;
export const P_STACK = 64;
export const K_PORT0 = 32;
export const K_PORT1 = 34;
export const K_RDOMAIN = 36;
export const K_AF = 38;
/** Two sides of 32 bytes; offsets within a side as on the wire. */
export const P_SRC = 104;
export const P_DST = 136;
export const S_FLAGS = 0;
export const S_TTL = 2;
export const S_SCRUB = 3;
export const S_TSMOD = 4;
export const S_SEQLO = 8;
export const S_SEQHI = 12;
export const S_SEQDIFF = 16;
export const S_MAXWIN = 20;
export const S_MSS = 22;
export const S_STATE = 24;
export const S_WSCALE = 25;
export const S_PAD = 26;
export const P_RT_ADDR = 168;
export const P_RULE = 184;
export const P_ANCHOR = 188;
export const P_NAT_RULE = 192;
export const P_CREATION = 196;
export const P_EXPIRE = 200;
export const P_PACKETS0 = 208;
export const P_PACKETS1 = 216;
export const P_BYTES0 = 224;
export const P_BYTES1 = 232;
export const P_CREATORID = 240;
export const P_RTABLE0 = 244;
export const P_RTABLE1 = 248;
export const P_MAX_MSS = 252;
export const P_AF = 254;
export const P_PROTO = 255;
export const P_DIRECTION = 256;
export const P_LOG = 257;
export const P_RT = 258;
export const P_TIMEOUT = 259;
export const P_SYNC_FLAGS = 260;
export const P_UPDATES = 261;
export const P_MIN_TTL = 262;
export const P_SET_TOS = 263;
export const P_STATE_FLAGS = 264;
export const P_SET_PRIO = 266;
export const P_QID = 268;
export const P_PQID = 270;
export const P_DNPIPE = 272;
export const P_DNRPIPE = 274;
export const P_STACK_AF = 276;
export const P_RT_AF = 277;
export const P_STACK_PROTO = 278;
/** Bytes that a dialect calls spare or padding; FreeBSD 9.1 writes its local flags there. */
export const P_SPARE = 280;
export const P_RT_IFNAME = 284;
export const P_ORIG_IFNAME = 300;
export const P_TAGNAME = 316;
/** Bulk status. */
export const P_ENDTIME = 384;
export const P_STATUS = 388;
export const P_STATUS_PAD = 389;
/** TDB: a security association's counters. */
export const P_SPI = 392;
export const P_TDB_DST = 396;
export const P_RPL = 424;
export const P_CUR_BYTES = 432;
export const P_SPROTO = 440;
export const P_TDB_UPDATES = 441;
export const P_TDB_RDOMAIN = 442;
export const P_SIZE = 448;

/** What a message does; the actions' numbers differ between the dialects. */
export const KIND_CLR = 0;
export const KIND_INS = 1;
export const KIND_INS_ACK = 2;
export const KIND_UPD = 3;
export const KIND_UPD_C = 4;
export const KIND_UPD_REQ = 5;
export const KIND_DEL = 6;
export const KIND_DEL_C = 7;
export const KIND_BUS = 8;
export const KIND_TDB = 9;
export const KIND_EOF = 10;
/** An action without a handler: passed over by its announced length. */
export const KIND_SKIPPED = 11;

/** The dialects' numbers: also the formats of the state record. */
export const D_OPENBSD = 0;
export const D_FREEBSD_1301 = 1;
export const D_FREEBSD_1400 = 2;
export const D_FREEBSD_1500 = 3;

/** Why a frame, or the rest of one, is refused; the names are those of pfsync's own counters. */
export const REFUSED_HDROPS = 1;
export const REFUSED_BADVER = 2;
export const REFUSED_BADLEN = 3;
export const REFUSED_BADACT = 4;
/** Why one record is refused. */
export const REFUSED_BADVAL = 5;
export const REFUSED_NO_CREATOR = 6;
export const REFUSED_BADNAME = 7;

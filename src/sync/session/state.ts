/**
 * State, events and actions of the sync session (machine.ts), with every time and limit it uses. Every time is in
 * milliseconds: a field that ends in `At` or `Since` is a moment of the context's monotonic clock, the others are
 * durations. Pure.
 */
import type { RepairAction, RepairEvent, RepairState } from '../repair/state.ts';
import type { DigestMessage, FastFixed, VerdictMessage } from '../wire/datagram.ts';

/** Durations, milliseconds. */
export const TIMING = {
  hello: 200,
  /** A HELLO which shows that the peer does not know this node is answered at once, but not more often than this. */
  helloReply: 50,
  heartbeat: 50,
  digest: 250,
  /** An acknowledgement waits so long for a datagram to carry it: shorter when nothing has come for `quiet`. */
  ackDelay: 2,
  ackDelayBusy: 10,
  quiet: 50,
  /**
   * For so long the peer may not know yet that this node is master no more: six heartbeats, one of them sent at once.
   */
  unheard: 300,
  /** Silence after which the peer counts as gone. */
  dead: 1000,
  rtoMin: 20,
  rtoMax: 500,
  resyncMin: 200,
  resyncMax: 10_000,
  /** A mismatch waits so long for the end of a dump of this node's kernel. */
  dumpPatience: 5000,
  /** An older comparison is no proof any more. */
  stale: 2000,
} as const;

export const LIMITS = {
  /** Datagrams sent and not yet acknowledged. */
  window: 128,
  /**
   * Datagrams sent again at once: when nothing is heard, and when the peer names a gap (it keeps those behind the gap).
   */
  burst: 16,
  gapBurst: 4,
  /** Peer nonces remembered, so that a replayed HELLO of an ended session cannot end the running one. */
  nonces: 64,
  /** Entries of the log of what was sent when, and ms between two entries: the log must outlast `stale`. */
  sentLog: 256,
  sentEvery: 10,
  /** So many datagrams in order are acknowledged without delay. */
  ackEvery: 16,
} as const;

/** What the machine knows of the table. */
export interface Counts {
  own: number;
  mirrored: number;
  unclaimed: number;
  /** Changes that wait to be sent. */
  dirty: number;
  /** States, mirrored or adopted, that this kernel should hold and does not. */
  missing: number;
  /** An audit is running: this node's digest proves nothing now. */
  unsure: boolean;
}

export interface Context {
  /** Monotonic milliseconds. */
  now: number;
  /** 32 hex digits that nobody has used before; taken when this node begins another session. */
  nonce: string;
  counts: Counts;
}

interface Comparison {
  equal: boolean;
  missing: number;
  at: number;
  /** Unclaimed states of the node whose states were compared. */
  unclaimed: number;
}

/** What every session begins with afresh. */
interface StreamState extends RepairState {
  txSeq: number;
  txAcked: number;
  rto: number;
  rtoAt: number | null;
  /** For which acknowledgement a gap was answered last, and when. */
  gapFor: number;
  gapAt: number;
  rxSeq: number;
  /** The highest number received; when it is beyond `rxSeq`, a datagram between them is missing. */
  rxHigh: number;
  ackAt: number | null;
  ackedAt: number;
  unacked: number;
  /** This node's last adoption; the last one that the peer has applied; the peer's last one applied here. */
  adoptId: number;
  adoptSeenByPeer: number;
  adoptSeen: number;
  /**
   * A digest of the peer is only compared when the peer had applied this node's stream up to `lateSeq`. `late`: a
   * change that the peer must apply first still waits to be sent.
   */
  lateSeq: number;
  late: boolean;
  digestAt: number;
  digestNow: boolean;
  bulkOut: 'no' | 'begin' | 'running';
  bulkIn: boolean;
  differsSince: number | null;
  resyncAt: number;
  resyncWait: number;
  /** The peer's verdict on this node's states, and this node's verdict on the peer's. */
  ownCompared: Comparison | null;
  mirroredCompared: Comparison | null;
  /** Verdicts on digests up to this number of this node's stream are about another set than it owns now. */
  ownedSeq: number;
  /** When the numbers of this node's stream were sent, oldest first: it gives the age of a digest that names one. */
  sentLog: { seq: number; at: number }[];
  /** This node is no master, and holds states that the peer owned before it started again. Its first digest decides. */
  inherited: boolean;
}

export interface SyncState extends StreamState {
  ownNonce: string;
  peerNonce: string | null;
  /** The nonce of the peer's last HELLO; the next HELLO echoes it. */
  echo: string | null;
  usedNonces: string[];
  open: boolean;
  alive: boolean;
  heardAt: number | null;
  helloAt: number;
  helloSentAt: number;
  beatAt: number;
  masterAny: boolean;
  /** When this node stopped to be master of anything; null when the peer knows it. */
  steppedDownAt: number | null;
  peerMasterAny: boolean | null;
  /** Tie-break between equals: true on exactly one of the two nodes. */
  junior: boolean;
  repairs: number;
}

export type SyncEvent =
  | { type: 'tick' }
  /** This session's key must not be used any more. */
  | { type: 'renew' }
  | { type: 'hello'; nonce: string; echo: string | null; junior: boolean }
  | { type: 'fast'; fixed: FastFixed }
  | { type: 'role'; masterAny: boolean }
  /** The sync link's carrier has come back. */
  | { type: 'carrier' }
  | { type: 'report'; masterAny: boolean }
  /** `crossed`: the peer had not applied this node's last adoption when it sent its own. */
  | { type: 'adopt'; id: number; crossed: boolean }
  | { type: 'bulkBegin' }
  /** Everything that the peer has sent is applied, and what it did not name is gone. */
  | { type: 'bulkEnd' }
  | { type: 'resync' }
  | { type: 'digest'; digest: DigestMessage; seq: number; adoptSeen: number; equal: boolean }
  | { type: 'verdict'; verdict: VerdictMessage }
  /** Something has changed here that the peer must apply before its digest can be compared. */
  | { type: 'late' }
  /** All that waited to be sent is in the stream. */
  | { type: 'drained' }
  /** A datagram with the next sequence number has left. */
  | { type: 'sent' }
  | { type: 'bulkSent' }
  /** Send a digest now. */
  | { type: 'verify' }
  /** Ask the peer for everything, whatever the digests say. */
  | { type: 'wantResync' }
  | RepairEvent;

/** What the machine decides: about a datagram, the link, the table, a repair. */
export type SyncAction = Verdict | LinkAction | TableAction | RepairAction;

/** On the datagram of this step. */
export type Verdict =
  /** It is the next of the peer's stream: apply its messages. */
  | { type: 'apply' }
  /** It came too early: keep it until those before it are here. */
  | { type: 'hold' };

export type LinkAction =
  | { type: 'sendHello' }
  /** Keys for (ownNonce, peerNonce); both streams begin at 1; fingerprints get the session's key. */
  | { type: 'openSession' }
  /** The session has ended: drop its keys, and what was kept to be sent again. */
  | { type: 'closeSession' }
  | { type: 'resend'; from: number; to: number }
  /** A datagram outside the stream: acknowledgement and report. */
  | { type: 'sendBeat'; report: boolean }
  /** Refused input is counted under its cause. */
  | { type: 'refuse'; cause: 'own_hello' | 'replayed_hello' | 'bad_ack' | 'bad_repair' }
  | { type: 'event'; event: SessionEvent };

/** What the machine reports; words.ts has the words. */
export type SessionEvent =
  | { kind: 'sync.session'; up: true }
  | { kind: 'sync.peer'; alive: true }
  | { kind: 'sync.peer'; alive: false; silentMs: number }
  | { kind: 'sync.adopt'; states: number; cause: AdoptCause }
  | { kind: 'sync.mismatch'; count: number };

/** Why this node owns states that it did not own before. */
export type AdoptCause = 'peerGone' | 'peerNotMaster' | 'peerStartedAgain' | 'peerKnowsNone' | 'bothMaster';

export const adopted = (states: number, cause: AdoptCause): LinkAction => ({
  type: 'event',
  event: { kind: 'sync.adopt', states, cause },
});

export type TableAction =
  | { type: 'sendDigest' }
  | { type: 'sendAdopt'; id: number }
  | { type: 'sendVerdict'; verdict: VerdictMessage }
  | { type: 'sendResync' }
  | { type: 'beginBulk' }
  | { type: 'peerBulkBegin' }
  | { type: 'adoptPeer' }
  /** The peer that owned them is gone: the mirrored states become unclaimed. */
  | { type: 'disownPeer' }
  | { type: 'adoptUnclaimed' }
  | { type: 'dropUnclaimed' }
  /** The peer has adopted this node's states. */
  | { type: 'yieldOwn' }
  /** Who wins when both claim a state: the peer, or this node. */
  | { type: 'prefer'; peer: boolean };

export function freshStream(): StreamState {
  return {
    txSeq: 0,
    txAcked: 0,
    rto: TIMING.rtoMin,
    rtoAt: null,
    gapFor: -1,
    gapAt: 0,
    rxSeq: 0,
    rxHigh: 0,
    ackAt: null,
    ackedAt: 0,
    unacked: 0,
    adoptId: 0,
    adoptSeenByPeer: 0,
    adoptSeen: 0,
    lateSeq: 0,
    late: false,
    digestAt: 0,
    digestNow: true,
    bulkOut: 'no',
    bulkIn: false,
    repairIn: null,
    repairOut: null,
    repairId: 0,
    repairFails: 0,
    differsSince: null,
    resyncAt: 0,
    resyncWait: TIMING.resyncMin,
    ownCompared: null,
    mirroredCompared: null,
    ownedSeq: 0,
    sentLog: [],
    inherited: false,
  };
}

export function createSync(nonce: string): SyncState {
  return {
    ...freshStream(),
    ownNonce: nonce,
    peerNonce: null,
    echo: null,
    usedNonces: [],
    open: false,
    alive: false,
    heardAt: null,
    helloAt: 0,
    helloSentAt: -TIMING.hello,
    beatAt: 0,
    masterAny: false,
    steppedDownAt: null,
    peerMasterAny: null,
    junior: false,
    repairs: 0,
  };
}

/**
 * What this node proves of its own advertisements and asks of the peer's. Pure; the caller brings time (microseconds),
 * entropy and what the last run left behind.
 *
 * The epoch and the sequence number of a sender outlive its daemon: the peer, which cannot be asked when the sync link
 * is dead, goes on where it was. Over the sealed link each node tells both twenty times a second, so a node that has
 * lost its state gets a new epoch across, and what was recorded but never arrived is worth nothing four seconds
 * later.
 */
import type { Provable } from './counter.ts';
import { proofCounter, provenSequence } from './counter.ts';

/** Adverts may still be on their way when a report overtakes them. */
const IN_FLIGHT = 32;
/** What was sent before a report of this age has arrived, or never will. */
const SETTLED_US = 2_000_000;
/** A key that was changed away is taken a while longer: the two nodes settle one after the other. */
const OLD_KEY_US = 600_000_000;
/** Sequence numbers that are set aside at once; after a crash the rest of them is passed over. */
const BLOCK = 4096;
const SPARE = 1024;

/** What a node tells of itself over the sealed link. */
export interface ProofNote {
  /** 32 hex digits */
  epoch: string;
  sequence: number;
  /** What it has taken from the other node last. */
  heard?: { epoch: string; sequence: number };
}

export interface ProofState {
  keys: Buffer[];
  /** The one that the peer has, too. */
  signing: Buffer | null;
  old: { key: Buffer; untilUs: number }[];
  own: { epoch: string; sequence: number; reserved: number };
  peer: PeerProof | null;
}

interface PeerProof {
  epoch: string;
  /** Nothing up to here is taken, whatever it is for. */
  floor: number;
  /** The last one taken, by vhid and family. */
  seen: Map<string, number>;
  /** A report whose number becomes the floor when it has settled. */
  told: { sequence: number; atUs: number } | null;
}

/** What outlives the daemon. */
export interface ProofMemory {
  own: { epoch: string; reserved: number };
  peer: { epoch: string; seen: number } | null;
}

export type Verdict = 'proven' | 'unproven' | 'unknown';

/** @param fresh 32 random hex digits, for a node that remembers nothing */
export function createProof(memory: ProofMemory | null, fresh: string): ProofState {
  const start = memory?.own.reserved ?? 0;
  return {
    keys: [],
    signing: null,
    old: [],
    own: { epoch: memory?.own.epoch ?? fresh, sequence: start, reserved: start + BLOCK },
    peer: memory?.peer ? peerOf(memory.peer.epoch, memory.peer.seen) : null,
  };
}

const peerOf = (epoch: string, floor: number): PeerProof => ({
  epoch,
  floor,
  seen: new Map(),
  told: null,
});

/**
 * The pair's keys, the one to use first in front. While it is being changed there are several, and only the last is
 * sure to be the peer's, too.
 */
export function setProofKeys(state: ProofState, keys: readonly Buffer[], now: number): void {
  const gone = state.keys.filter((key) => !keys.some((one) => one.equals(key)));
  state.old = [...state.old, ...gone.map((key) => ({ key, untilUs: now + OLD_KEY_US }))].slice(-4);
  state.keys = [...keys];
  state.signing = keys.at(-1) ?? null;
}

/** The counter for an advertisement that goes out now; null: there is no key to prove anything with. */
export function proveAdvert(state: ProofState, advert: Provable): bigint | null {
  if (state.signing === null) return null;
  state.own.sequence += 1;
  return proofCounter(state.signing, state.own.epoch, state.own.sequence, advert);
}

/** More numbers have to be set aside soon. The caller writes `proofMemory` down. */
export function reserveMore(state: ProofState): boolean {
  if (state.own.reserved - state.own.sequence > SPARE) return false;
  state.own.reserved = state.own.sequence + BLOCK;
  return true;
}

export function proofNote({ own, peer, signing }: ProofState): ProofNote | null {
  if (signing === null) return null;
  const { epoch, sequence } = own;
  return peer === null
    ? { epoch, sequence }
    : { epoch, sequence, heard: { epoch: peer.epoch, sequence: newest(peer) } };
}

const newest = ({ floor, seen }: PeerProof): number => Math.max(floor, ...seen.values());

/**
 * A report of the peer came over the sealed link.
 * @param note null: the peer is of a version that proves nothing
 * @param fresh 32 random hex digits
 * @returns whether something has changed that has to outlive the daemon
 */
export function hearNote(state: ProofState, note: ProofNote | null, fresh: string, now: number): boolean {
  if (note === null) {
    const had = state.peer !== null;
    state.peer = null;
    return had;
  }
  const { own } = state;
  // The peer has heard numbers that this node does not remember to have sent: its disk was put back to an earlier day.
  const behind = note.heard?.epoch === own.epoch && note.heard.sequence > own.sequence;
  if (behind) state.own = { epoch: fresh, sequence: 0, reserved: BLOCK };
  const other = state.peer?.epoch !== note.epoch;
  hearPeer(state, note, now);
  return behind || other;
}

function hearPeer(state: ProofState, note: ProofNote, now: number): void {
  if (state.peer?.epoch !== note.epoch) state.peer = peerOf(note.epoch, Math.max(0, note.sequence - IN_FLIGHT));
  const { peer } = state;
  if (peer === null) return;
  if (peer.told !== null && now - peer.told.atUs >= SETTLED_US) {
    peer.floor = Math.max(peer.floor, peer.told.sequence);
    peer.told = null;
  }
  peer.told ??= { sequence: note.sequence, atUs: now };
}

/**
 * @param key of the vhid
 * @returns `unknown`: it is not known that the peer proves anything, so nothing can be asked of the advertisement
 */
export function judgeAdvert(
  state: ProofState,
  key: string,
  advert: Provable & { counter: bigint },
  now: number,
): Verdict {
  const { peer } = state;
  if (peer === null || state.keys.length === 0) return 'unknown';
  const place = `${key} ${advert.family}`;
  const after = Math.max(peer.floor, peer.seen.get(place) ?? 0);
  const keys = [...state.keys, ...state.old.filter(({ untilUs }) => untilUs > now).map((one) => one.key)];
  const sequence = provenSequence(keys, peer.epoch, after, advert, advert.counter);
  if (sequence === null) return 'unproven';
  peer.seen.set(place, sequence);
  return 'proven';
}

/** To be kept for the next run. */
export function proofMemory({ own, peer }: ProofState): ProofMemory {
  return {
    own: { epoch: own.epoch, reserved: own.reserved },
    peer: peer === null ? null : { epoch: peer.epoch, seen: newest(peer) },
  };
}

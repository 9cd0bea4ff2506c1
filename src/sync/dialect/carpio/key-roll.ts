/**
 * The change of the pair's key under a running session. A node with a new key still accepts the keys before it, names
 * its keys to the peer in HELLOs, and asks for the peer's. As soon as both have the new one, each direction goes over
 * to it with its next session key (seal/key-chain.ts): nothing stops, and no state changes its owner. Until then both
 * nodes report that they differ.
 *
 * Which keys the peer has is read from HELLOs of this session alone, and never from an older HELLO after a younger one:
 * a replay cannot make this node seal with a key that the peer has dropped.
 */
import type { Mix } from '../../seal/key-chain.ts';
import type { PairKeys } from '../../seal/pair-keys.ts';
import type { SyncState } from '../../session/state.ts';
import type { KeyVerdict } from './key-words.ts';

/** Between two questions for the peer's keys. */
const ASK_MS = 1000;
/** HELLOs under another key are the peer's when they go on for so long and nothing else is heard. */
const STRANGE_MS = 1000;
/** A key that was replaced is accepted for so long without a word of the peer. */
export const HELD_MS = 600_000;

interface KeyRollPorts {
  /** Sends HELLOs that ask the peer for its keys. */
  ask(): void;
  say(verdict: KeyVerdict): void;
}

/** What a HELLO of this session says. */
interface HeardKeys {
  nonce: string;
  /** Of its header, never used twice. */
  counter: bigint;
  node: string;
  ids: readonly string[];
}

export class KeyRoll {
  private readonly keys: PairKeys;
  private readonly state: SyncState;
  private readonly ports: KeyRollPorts;
  private peer: HeardKeys = { nonce: '', counter: 0n, node: 'the peer', ids: [] };
  private askAt = 0;
  private changedAt: number | null = null;
  private strange: { first: number; last: number } | null = null;
  private said: KeyVerdict['state'] | null = 'same';

  constructor(keys: PairKeys, state: SyncState, ports: KeyRollPorts) {
    this.keys = keys;
    this.state = state;
    this.ports = ports;
  }

  /** This node's keys have been replaced. The peer is asked again which it has: it may have dropped some. */
  changed(now: number): void {
    this.peer = { ...this.peer, ids: [] };
    this.changedAt = now;
    this.askAt = now;
    // The end of the change is reported in any case.
    this.said = null;
  }

  heard(hello: HeardKeys): void {
    if (hello.nonce !== this.peer.nonce || hello.counter > this.peer.counter) this.peer = hello;
  }

  /** A HELLO that one of the keys opens. */
  knownHello(): void {
    this.strange = null;
  }

  /** Somebody's HELLO that none of the keys opens. */
  strangeHello(now: number): void {
    const first = this.strange === null || now - this.strange.last > 2 * STRANGE_MS ? now : this.strange.first;
    this.strange = { first, last: now };
  }

  /** The secret that a direction under `under` goes over to; null: it stays. */
  goal(under: string): Mix | null {
    const { ids } = this.keys;
    // Called for each datagram, and nearly always there is no other key to go over to.
    if (ids.length === 1 && ids[0] === under) return null;
    const id = this.state.peerNonce === this.peer.nonce ? this.keys.common(this.peer.ids, this.state.junior) : null;
    return id === null || id === under ? null : (this.keys.mixes(under).find((mix) => mix.id === id) ?? null);
  }

  /** @param under the secrets that the two directions run under; null: there is no session */
  work(now: number, under: { send: string; receive: string } | null): void {
    const { ids } = this.keys;
    const through = under !== null && under.send === ids[0] && under.receive === ids[0];
    if (through) this.changedAt = null;
    const settled = through && this.said !== null;
    if (this.state.open && this.state.alive && !settled && ids.length > 1 && now >= this.askAt) {
      this.askAt = now + ASK_MS;
      this.ports.ask();
    }
    this.say(this.verdict(now, through));
  }

  private verdict(now: number, through: boolean): KeyVerdict | null {
    const { alive, open, heardAt } = this.state;
    const { node, ids: peerIds } = this.peer;
    const { ids } = this.keys;
    if (open && alive) {
      return through && peerIds[0] === ids[0] ? { state: 'same' } : this.difference(node, peerIds);
    }
    if (this.changedAt !== null && ids.length > 1 && now - Math.max(this.changedAt, heardAt ?? 0) > HELD_MS) {
      return { state: 'expired', heldMs: HELD_MS };
    }
    const since = this.strange;
    if (since === null || now - since.last > STRANGE_MS || since.last - since.first < STRANGE_MS) return null;
    return { state: 'other' };
  }

  private difference(peer: string, peerIds: readonly string[]): KeyVerdict | null {
    const [own] = this.keys.ids;
    if (peerIds.length === 0 || own === undefined || peerIds[0] === own) return null;
    return { state: 'differs', newAt: peerIds.includes(own) ? 'peer' : 'here', peer };
  }

  private say(said: KeyVerdict | null): void {
    if (said === null || said.state === this.said) return;
    this.said = said.state;
    if (said.state === 'expired') this.changedAt = null;
    this.ports.say(said);
  }
}

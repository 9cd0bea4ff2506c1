/** What a node finds about the pair's keys (key-roll.ts), and the words for it. Pure. */

export type KeyVerdict =
  | { state: 'same' }
  /** Both accept the key before the new one, which only this node or only the peer has. */
  | { state: 'differs'; newAt: 'here' | 'peer'; peer: string }
  /** No key in common. */
  | { state: 'other' }
  /** Nobody came over to the new key. */
  | { state: 'expired'; heldMs: number };

const BOTH = 'both still take the one before';

export function keyReason(verdict: KeyVerdict): string | null {
  switch (verdict.state) {
    case 'same':
      return null;
    case 'differs': {
      const found = verdict.newAt === 'here' ? "does not have this node's new one yet" : 'has a new one';
      const mend = verdict.newAt === 'here' ? 'put it there and reload' : 'put it here, too, and reload';
      return `the peer uses another key: ${verdict.peer} ${found} (${BOTH}); ${mend}`;
    }
    case 'other':
      return (
        'the peer uses another key: nothing is synced, CARP goes on; ' +
        'put the same key on both nodes and reload carpio there'
      );
    case 'expired': {
      const minutes = verdict.heldMs / 60_000;
      return `no peer has come over to the new key within ${minutes} min; the one before is refused now`;
    }
  }
}

/**
 * The table's rules in plain TypeScript: a Map, owners written into every record, no tags, no queues but the set of
 * things the peer must hear. Slow and obvious, to be compared with the module.
 */
import { clone, fingerprint, keyOf as keyOfState, type State, TCP } from './state.ts';

const MASK = (1n << 128n) - 1n;

export type Owner = 'unclaimed' | 'own' | 'mirrored';

export interface Entry {
  state: State;
  owner: Owner;
  touched: boolean;
  fingerprint: bigint;
}

/** An event names labels and sequence adjustment only when they changed. */
function merged(now: State, known: State | undefined): State {
  const { labels, seq } = known?.extra ?? {};
  if (labels === undefined && seq === undefined) return now;
  return { ...now, extra: { ...(labels ? { labels } : {}), ...(seq ? { seq } : {}), ...now.extra } };
}

/** How a state is named and summed; a test of millions brings its own, which remembers. */
export interface Ways {
  keyOf(state: State): string;
  fingerprint(state: State): bigint;
}

export class ReferenceTable {
  readonly entries = new Map<string, Entry>();
  /** Keys of which the peer must hear: live ones as update, ended ones as delete. */
  readonly dirty = new Set<string>();
  preferPeer = false;
  conflicts = 0;
  claims = 0;
  private readonly ways: Ways;

  constructor(key: Uint8Array, ways: Partial<Ways> = {}) {
    this.ways = { keyOf: keyOfState, fingerprint: (state) => fingerprint(state, key), ...ways };
  }

  private put(key: string, state: State, owner: Owner, touched: boolean): void {
    this.entries.set(key, { state: clone(state), owner, touched, fingerprint: this.ways.fingerprint(state) });
  }

  /** What the kernel reports: `withoutInfo` = the protocol part did not change and was left out. */
  event(state: State, withoutInfo = false): void {
    const key = this.ways.keyOf(state);
    const old = this.entries.get(key);
    const now = merged(clone(state), old?.state);
    if (withoutInfo) {
      const known = old?.state;
      now.l4 = known?.l4 ?? 0;
      now.wscale = known?.wscale ?? [0, 0];
      now.flags = known?.flags ?? [0, 0];
      now.vtags = known?.vtags ?? null;
    }
    const eligible = (now.status & 2) !== 0 && !(now.proto === TCP && now.l4 === 1);
    if (!eligible) {
      if (old === undefined || old.owner === 'mirrored') return;
      this.entries.delete(key);
      if (old.owner === 'own') this.dirty.add(key);
      return;
    }
    if (old?.owner === 'mirrored') this.claims++;
    this.put(key, now, 'own', true);
    if (old?.owner !== 'own' || old.fingerprint !== this.entries.get(key)?.fingerprint) this.dirty.add(key);
  }

  destroy(state: State): void {
    const key = this.ways.keyOf(state);
    const old = this.entries.get(key);
    if (old === undefined || old.owner === 'mirrored') return;
    this.entries.delete(key);
    if (old.owner === 'own') this.dirty.add(key);
  }

  /** A whole dump, no event meanwhile. `mine`: what is not known is mine. */
  dump(lines: State[], mine: boolean): void {
    const seen = new Set(lines.map((line) => this.ways.keyOf(line)));
    for (const [key, entry] of this.entries) {
      if (!seen.has(key) && entry.owner !== 'mirrored') this.destroy(entry.state);
    }
    for (const state of lines) {
      const key = this.ways.keyOf(state);
      const old = this.entries.get(key);
      if (old === undefined) {
        this.put(key, state, mine ? 'own' : 'unclaimed', mine);
        if (mine) this.dirty.add(key);
        else this.dirty.delete(key);
      } else if (old.owner !== 'mirrored') {
        this.put(key, state, old.owner, old.touched);
        const entry = this.entries.get(key);
        if (entry === undefined || entry.fingerprint === old.fingerprint || old.owner !== 'own') continue;
        entry.touched = true;
        this.dirty.add(key);
      }
    }
  }

  update(state: State, late: boolean, yours: boolean): void {
    const key = this.ways.keyOf(state);
    const old = this.entries.get(key);
    const owner = old?.owner;
    if (owner === undefined && late && this.dirty.has(key)) return;
    if (owner === 'own' && late) {
      if (!old?.touched) this.put(key, state, 'own', false);
      this.dirty.add(key);
    } else if (owner === 'own' && !this.preferPeer) {
      this.conflicts++;
      this.dirty.add(key);
    } else {
      if (owner === 'own') this.conflicts++;
      const mine = owner === 'mirrored' ? yours : late;
      this.put(key, state, mine ? 'own' : 'mirrored', false);
      if (mine) this.dirty.add(key);
      else this.dirty.delete(key);
    }
  }

  delete(state: State, late: boolean): void {
    const key = this.ways.keyOf(state);
    const old = this.entries.get(key);
    if (old === undefined) {
      this.dirty.delete(key);
    } else if (old.owner === 'own' && (!late || old.touched)) {
      this.dirty.add(key);
    } else {
      if (old.owner === 'own') this.dirty.add(key);
      else this.dirty.delete(key);
      this.entries.delete(key);
    }
  }

  private changeHands(from: Owner, to: Owner): void {
    for (const entry of this.entries.values()) {
      entry.touched = false;
      if (entry.owner === from) entry.owner = to;
    }
  }

  adoptPeer(): void {
    this.changeHands('mirrored', 'own');
  }

  yieldOwn(): void {
    this.changeHands('own', 'mirrored');
  }

  adoptUnclaimed(): void {
    this.changeHands('unclaimed', 'own');
  }

  digest(owner: Owner): { count: number; sum: bigint } {
    let count = 0;
    let sum = 0n;
    for (const entry of this.entries.values()) {
      if (entry.owner !== owner) continue;
      count++;
      sum = (sum + entry.fingerprint) & MASK;
    }
    return { count, sum };
  }
}

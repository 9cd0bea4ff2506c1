/**
 * Walks over the table for repairs by difference (asm/repair/difference.ts): each begins at a cursor (0 first), looks
 * at a slice of slots and returns where to go on, `null` at the end.
 */
import type { EngineExports, ModuleNumbers, Owner } from './engine-exports.ts';
import { OWNERS } from './engine-exports.ts';

/** Where ids stand in OUT: behind the mask of buckets. */
const IDS_AT = 64;
const WALK_END = 0xffffffff;

/** What the walks use of the engine. */
interface Table {
  readonly x: EngineExports;
  readonly at: ModuleNumbers;
  view(): Uint8Array;
}

export class Walks {
  private readonly engine: Table;
  /** The host's scratch area. */
  private readonly out: number;

  constructor(engine: Table) {
    this.engine = engine;
    this.out = engine.at.OUT;
  }

  /** Hands over the ids of a slice of slots: live states of these owners in the buckets of the mask (32 bytes). */
  copyIds(from: number, slots: number, owners: readonly Owner[], mask: Uint8Array, to: (ids: Uint8Array) => void) {
    this.engine.view().set(mask, this.out);
    const set = owners.reduce((bits, owner) => bits | (1 << OWNERS[owner]), 0);
    const next = this.engine.x.idsCopy(from, slots, set) >>> 0;
    to(this.copied());
    return next === WALK_END ? null : next;
  }

  private copied(): Uint8Array {
    return this.engine.view().subarray(this.out + IDS_AT, this.out + IDS_AT + this.engine.x.idsCopied() * 8);
  }

  /** Makes these ids (8 bytes each) the set that the pick walks look for. Returns how many of them had room. */
  pick(ids: Uint8Array): number {
    this.engine.x.pickClear();
    const piece = this.engine.at.OUT_SIZE - IDS_AT;
    for (let at = 0; at < ids.length; at += piece) {
      const part = ids.subarray(at, at + piece);
      this.engine.view().set(part, this.out + IDS_AT);
      const taken = this.engine.x.pickAdd(part.length / 8);
      if (taken < part.length / 8) return at / 8 + taken;
    }
    return ids.length / 8;
  }

  /** Own states in the picked set are sent once more. */
  sendPicked(from: number, slots: number): number | null {
    const next = this.engine.x.pickSend(from, slots) >>> 0;
    return next === WALK_END ? null : next;
  }

  /** Drops the peer's states in the picked set, gives nobody's others to the peer, in the buckets of the mask. */
  applyPicked(from: number, slots: number, mask: Uint8Array): number | null {
    this.engine.view().set(mask, this.out);
    const next = this.engine.x.pickApply(from, slots) >>> 0;
    return next === WALK_END ? null : next;
  }

  /** The picked ids that no walk has met. */
  unseenPicks(): Buffer {
    const parts: Buffer[] = [];
    for (let from = 0; from !== WALK_END; ) {
      from = this.engine.x.pickUnseen(from) >>> 0;
      parts.push(Buffer.from(this.copied()));
    }
    return Buffer.concat(parts);
  }
}

/**
 * The state table in plain JavaScript, for scripts/bench/engine.ts: typed arrays, and a Map with string keys. IPv4
 * only.
 */

const RECORD = 144;

/** SipHash-1-3, 64-bit lanes as 32-bit halves in locals: a low, A high. */
class Sip {
  private readonly key: Int32Array;
  /** The words to hash, low and high half in turn; one more word must fit behind them. */
  readonly words = new Int32Array(12);
  /** The hash, four 32-bit words. */
  readonly out = new Int32Array(4);

  constructor(key: Uint8Array) {
    this.key = new Int32Array(key.slice().buffer);
  }

  /** Hashes the first `n` words to 128 bits (`wide`) or 64. */
  hash(n: number, wide: boolean): void {
    const { key, words, out } = this;
    let a = (key[0] as number) ^ 0x70736575;
    let A = (key[1] as number) ^ 0x736f6d65;
    let b = (key[2] as number) ^ 0x6e646f6d ^ (wide ? 0xee : 0);
    let B = (key[3] as number) ^ 0x646f7261;
    let c = (key[0] as number) ^ 0x6e657261;
    let C = (key[1] as number) ^ 0x6c796765;
    let d = (key[2] as number) ^ 0x79746573;
    let D = (key[3] as number) ^ 0x74656462;
    words[2 * n] = 0;
    words[2 * n + 1] = n << 27;
    const rounds = n + (wide ? 7 : 4);
    for (let i = 0; i < rounds; i++) {
      const low = i <= n ? (words[2 * i] as number) : 0;
      const high = i <= n ? (words[2 * i + 1] as number) : 0;
      d ^= low;
      D ^= high;
      let l = (a + b) | 0;
      A = (A + B + (l >>> 0 < a >>> 0 ? 1 : 0)) | 0;
      a = l;
      let t = (b << 13) | (B >>> 19);
      B = ((B << 13) | (b >>> 19)) ^ A;
      b = t ^ a;
      t = a;
      a = A;
      A = t;
      l = (c + d) | 0;
      C = (C + D + (l >>> 0 < c >>> 0 ? 1 : 0)) | 0;
      c = l;
      t = (d << 16) | (D >>> 16);
      D = ((D << 16) | (d >>> 16)) ^ C;
      d = t ^ c;
      l = (a + d) | 0;
      A = (A + D + (l >>> 0 < a >>> 0 ? 1 : 0)) | 0;
      a = l;
      t = (d << 21) | (D >>> 11);
      D = ((D << 21) | (d >>> 11)) ^ A;
      d = t ^ a;
      l = (c + b) | 0;
      C = (C + B + (l >>> 0 < c >>> 0 ? 1 : 0)) | 0;
      c = l;
      t = (b << 17) | (B >>> 15);
      B = ((B << 17) | (b >>> 15)) ^ C;
      b = t ^ c;
      t = c;
      c = C;
      C = t;
      a ^= low;
      A ^= high;
      if (i === n) c ^= wide ? 0xee : 0xff;
      if (i === n + 3) {
        out[0] = a ^ b ^ c ^ d;
        out[1] = A ^ B ^ C ^ D;
        b ^= 0xdd;
      }
    }
    if (!wide) return;
    out[2] = a ^ b ^ c ^ d;
    out[3] = A ^ B ^ C ^ D;
  }
}

/** Sum of fingerprints modulo 2^128 and count, whole and by bucket, in 32-bit words. */
class Digest {
  private readonly words = new Uint32Array(257 * 5);

  add(fp: Int32Array, at: number, sign: 1 | -1): void {
    const bucket = (fp[at] as number) & 0xff;
    this.apply(bucket * 5, fp, at, sign);
    this.apply(256 * 5, fp, at, sign);
  }

  private apply(o: number, fp: Int32Array, at: number, sign: 1 | -1): void {
    let carry = 0;
    for (let i = 0; i < 4; i++) {
      const sum = (this.words[o + i] as number) + sign * ((fp[at + i] as number) >>> 0) + carry;
      this.words[o + i] = sum;
      carry = sum < 0 ? -1 : sum > 0xffffffff ? 1 : 0;
    }
    this.words[o + 4] = (this.words[o + 4] as number) + sign;
  }
}

/** Offsets of 32-bit words in a record image (asm/state/layout.ts). */
const HEAD = 2;
const PORTS = 3;
const OSRC = 4;
const ODST = 8;
const RSRC = 12;
const RDST = 16;
const RPORTS = 20;
const MARK = 21;
const STATUS = 22;

function fingerprint(sip: Sip, w: Int32Array, o: number): void {
  const { words } = sip;
  words[0] = w[o + HEAD] as number;
  words[1] = w[o + PORTS] as number;
  words[2] = w[o + OSRC] as number;
  words[3] = w[o + ODST] as number;
  words[4] = w[o + RSRC] as number;
  words[5] = w[o + RDST] as number;
  words[6] = w[o + RPORTS] as number;
  words[7] = w[o + MARK] as number;
  words[8] = ((w[o + STATUS] as number) & 6) << 8;
  words[9] = 0;
  sip.hash(5, true);
}

/** Words of a stored record: 14 of content, 4 of fingerprint. */
const STRIDE = 18;
const FP = 14;
/** The index hash, so that it is made once only. */
const HASH = 9;
/** States whose look-ups run side by side, as asm/state/ahead.ts has them. */
const GROUP = 16;

/**
 * Open addressing with linear probing in one Int32Array; doubles when it is two thirds full. Made as fast as we could:
 * look-ups in groups as in asm/state/ahead.ts, the index hash kept.
 */
export class TypedTable {
  readonly chunk: Uint8Array;
  private readonly images: Int32Array;
  private readonly sip: Sip;
  private readonly digest = new Digest();
  private records: Int32Array;
  private slots: Int32Array;
  private readonly hashes = new Int32Array(GROUP);
  /** What lookAhead has read: only so that no compiler leaves it out. */
  seen = 0;
  private free: number[] = [];
  private used = 1;
  private live = 0;

  constructor(key: Uint8Array, chunk: number, states: number) {
    this.chunk = new Uint8Array(chunk * RECORD);
    this.images = new Int32Array(this.chunk.buffer);
    this.sip = new Sip(key);
    this.records = new Int32Array(Math.max(1024, states >> 4) * STRIDE);
    this.slots = new Int32Array(1024);
  }

  private hash(o: number): number {
    const { sip, images: w } = this;
    const { words } = sip;
    words[0] = w[o + HEAD] as number;
    words[1] = w[o + PORTS] as number;
    words[2] = w[o + OSRC] as number;
    words[3] = w[o + ODST] as number;
    sip.hash(2, false);
    return sip.out[0] as number;
  }

  /** Hashes `n` images from `o` on, and reads what their look-ups and changes will read. */
  private lookAhead(o: number, n: number): void {
    const { hashes, slots, records } = this;
    const mask = slots.length - 1;
    for (let i = 0; i < n; i++) hashes[i] = this.hash(o + (i * RECORD) / 4);
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const at = (slots[(hashes[i] as number) & mask] as number) * STRIDE;
      sum ^= (records[at] as number) ^ (records[at + STRIDE - 1] as number);
    }
    this.seen = sum;
  }

  /** Slot of the image's key, or the free slot where it would go. */
  private slotOf(o: number, hash: number): number {
    const { images: w, slots, records } = this;
    const mask = slots.length - 1;
    let slot = hash & mask;
    for (let r = slots[slot] as number; r !== 0; r = slots[slot] as number) {
      const at = r * STRIDE;
      if (
        records[at] === w[o + HEAD] &&
        records[at + 1] === w[o + PORTS] &&
        records[at + 2] === w[o + OSRC] &&
        records[at + 3] === w[o + ODST]
      ) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    const mask = this.slots.length - 1;
    for (const r of old) {
      if (r === 0) continue;
      let slot = (this.records[r * STRIDE + HASH] as number) & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = r;
    }
  }

  private allocate(): number {
    const again = this.free.pop();
    if (again !== undefined) return again;
    if ((this.used + 1) * STRIDE > this.records.length) {
      const larger = new Int32Array(this.records.length * 2);
      larger.set(this.records);
      this.records = larger;
    }
    return this.used++;
  }

  private write(o: number, r: number): void {
    const { images: w, records } = this;
    const at = r * STRIDE;
    records[at] = w[o + HEAD] as number;
    records[at + 1] = w[o + PORTS] as number;
    records[at + 2] = w[o + OSRC] as number;
    records[at + 3] = w[o + ODST] as number;
    records[at + 4] = w[o + RSRC] as number;
    records[at + 5] = w[o + RDST] as number;
    records[at + 6] = w[o + RPORTS] as number;
    records[at + 7] = w[o + MARK] as number;
    records[at + 8] = w[o + STATUS] as number;
    fingerprint(this.sip, w, o);
    for (let i = 0; i < 4; i++) records[at + FP + i] = this.sip.out[i] as number;
    this.digest.add(records, at + FP, 1);
  }

  put(n: number): number {
    let fresh = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      if (i % GROUP === 0) this.lookAhead(o, Math.min(GROUP, n - i));
      const hash = this.hashes[i % GROUP] as number;
      let slot = this.slotOf(o, hash);
      let r = this.slots[slot] as number;
      if (r !== 0) {
        this.digest.add(this.records, r * STRIDE + FP, -1);
      } else {
        fresh++;
        if (++this.live * 3 > this.slots.length * 2) {
          this.grow();
          slot = this.slotOf(o, hash);
        }
        r = this.allocate();
        this.slots[slot] = r;
        this.records[r * STRIDE + HASH] = hash;
      }
      this.write(o, r);
    }
    return fresh;
  }

  find(n: number): number {
    let found = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      if (i % GROUP === 0) this.lookAhead(o, Math.min(GROUP, n - i));
      if (this.slots[this.slotOf(o, this.hashes[i % GROUP] as number)] !== 0) found++;
    }
    return found;
  }

  remove(n: number): number {
    let gone = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      if (i % GROUP === 0) this.lookAhead(o, Math.min(GROUP, n - i));
      const slot = this.slotOf(o, this.hashes[i % GROUP] as number);
      const r = this.slots[slot] as number;
      if (r === 0) continue;
      this.digest.add(this.records, r * STRIDE + FP, -1);
      this.free.push(r);
      this.live--;
      gone++;
      this.close(slot);
    }
    return gone;
  }

  /** Moves later entries of the probe sequence up, so that no marker stays behind. */
  private close(hole: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let gap = hole;
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = (this.records[(slots[at] as number) * STRIDE + HASH] as number) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      slots[gap] = slots[at] as number;
      gap = at;
    }
    slots[gap] = 0;
  }

  bytes(): number {
    return this.records.byteLength + this.slots.byteLength;
  }
}

interface Entry {
  rsrc: number;
  rdst: number;
  rports: number;
  mark: number;
  status: number;
  fingerprint: Int32Array;
}

/** What one writes first: a Map, a string for a key, an object for a state. */
export class MapTable {
  readonly chunk: Uint8Array;
  private readonly images: Int32Array;
  private readonly sip: Sip;
  private readonly digest = new Digest();
  private readonly states = new Map<string, Entry>();

  constructor(key: Uint8Array, chunk: number) {
    this.chunk = new Uint8Array(chunk * RECORD);
    this.images = new Int32Array(this.chunk.buffer);
    this.sip = new Sip(key);
  }

  private key(o: number): string {
    const w = this.images;
    return `${w[o + HEAD]}:${w[o + PORTS]}:${w[o + OSRC]}:${w[o + ODST]}`;
  }

  put(n: number): number {
    let fresh = 0;
    const w = this.images;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      const key = this.key(o);
      let entry = this.states.get(key);
      if (entry === undefined) {
        entry = { rsrc: 0, rdst: 0, rports: 0, mark: 0, status: 0, fingerprint: new Int32Array(4) };
        this.states.set(key, entry);
        fresh++;
      } else {
        this.digest.add(entry.fingerprint, 0, -1);
      }
      entry.rsrc = w[o + RSRC] as number;
      entry.rdst = w[o + RDST] as number;
      entry.rports = w[o + RPORTS] as number;
      entry.mark = w[o + MARK] as number;
      entry.status = w[o + STATUS] as number;
      fingerprint(this.sip, w, o);
      entry.fingerprint.set(this.sip.out);
      this.digest.add(entry.fingerprint, 0, 1);
    }
    return fresh;
  }

  find(n: number): number {
    let found = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) if (this.states.has(this.key(o))) found++;
    return found;
  }

  remove(n: number): number {
    let gone = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      const key = this.key(o);
      const entry = this.states.get(key);
      if (entry === undefined) continue;
      this.digest.add(entry.fingerprint, 0, -1);
      this.states.delete(key);
      gone++;
    }
    return gone;
  }

  bytes(): null {
    return null;
  }
}

/** The state table in plain JavaScript, for scripts/bench/engine.ts: typed arrays, and a Map with string keys. IPv4 only. */

const RECORD = 144;

/** Words of a running SipHash-1-3, 64-bit lanes as 32-bit halves: v0l, v0h, v1l, v1h, v2l, v2h, v3l, v3h. */
class Sip {
  private readonly k0l: number;
  private readonly k0h: number;
  private readonly k1l: number;
  private readonly k1h: number;
  private a = 0;
  private A = 0;
  private b = 0;
  private B = 0;
  private c = 0;
  private C = 0;
  private d = 0;
  private D = 0;
  /** The hash, four 32-bit words. */
  readonly out = new Int32Array(4);

  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 16);
    this.k0l = view.getInt32(0, true);
    this.k0h = view.getInt32(4, true);
    this.k1l = view.getInt32(8, true);
    this.k1h = view.getInt32(12, true);
  }

  start(wide: boolean): void {
    this.a = this.k0l ^ 0x70736575;
    this.A = this.k0h ^ 0x736f6d65;
    this.b = this.k1l ^ 0x6e646f6d ^ (wide ? 0xee : 0);
    this.B = this.k1h ^ 0x646f7261;
    this.c = this.k0l ^ 0x6e657261;
    this.C = this.k0h ^ 0x6c796765;
    this.d = this.k1l ^ 0x79746573;
    this.D = this.k1h ^ 0x74656462;
  }

  private round(): void {
    let { a, A, b, B, c, C, d, D } = this;
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
    this.a = a;
    this.A = A;
    this.b = b;
    this.B = B;
    this.c = C;
    this.C = c;
    this.d = d;
    this.D = D;
  }

  word(low: number, high: number): void {
    this.d ^= low;
    this.D ^= high;
    this.round();
    this.a ^= low;
    this.A ^= high;
  }

  finish(words: number, wide: boolean): void {
    this.word(0, words << 27);
    this.c ^= wide ? 0xee : 0xff;
    for (let i = 0; i < 3; i++) this.round();
    this.out[0] = this.a ^ this.b ^ this.c ^ this.d;
    this.out[1] = this.A ^ this.B ^ this.C ^ this.D;
    if (!wide) return;
    this.b ^= 0xdd;
    for (let i = 0; i < 3; i++) this.round();
    this.out[2] = this.a ^ this.b ^ this.c ^ this.d;
    this.out[3] = this.A ^ this.B ^ this.C ^ this.D;
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

/** Offsets of 32-bit words in a record image (asm/record.ts). */
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
  sip.start(true);
  sip.word(w[o + HEAD] as number, w[o + PORTS] as number);
  sip.word(w[o + OSRC] as number, w[o + ODST] as number);
  sip.word(w[o + RSRC] as number, w[o + RDST] as number);
  sip.word(w[o + RPORTS] as number, w[o + MARK] as number);
  sip.word(((w[o + STATUS] as number) & 6) << 8, 0);
  sip.finish(5, true);
}

/** Words of a stored record: 14 of content, 4 of fingerprint. */
const STRIDE = 18;
const FP = 14;

/** Open addressing with linear probing in one Int32Array; doubles when it is two thirds full. */
export class TypedTable {
  readonly chunk: Uint8Array;
  private readonly images: Int32Array;
  private readonly sip: Sip;
  private readonly digest = new Digest();
  private records: Int32Array;
  private slots: Int32Array;
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

  private hash(w: Int32Array, o: number, head: number, src: number): number {
    const { sip } = this;
    sip.start(false);
    sip.word(w[o + head] as number, w[o + head + 1] as number);
    sip.word(w[o + src] as number, w[o + src + (head === HEAD ? 4 : 1)] as number);
    sip.finish(2, false);
    return sip.out[0] as number;
  }

  /** Slot of the image's key, or the free slot where it would go. */
  private slotOf(o: number): number {
    const { images: w, slots, records } = this;
    const mask = slots.length - 1;
    let slot = this.hash(w, o, HEAD, OSRC) & mask;
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
      let slot = this.hash(this.records, r * STRIDE, 0, 2) & mask;
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

  upsert(n: number): number {
    let fresh = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      let slot = this.slotOf(o);
      let r = this.slots[slot] as number;
      if (r !== 0) {
        this.digest.add(this.records, r * STRIDE + FP, -1);
      } else {
        fresh++;
        if (++this.live * 3 > this.slots.length * 2) {
          this.grow();
          slot = this.slotOf(o);
        }
        r = this.allocate();
        this.slots[slot] = r;
      }
      this.write(o, r);
    }
    return fresh;
  }

  find(n: number): number {
    let found = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) if (this.slots[this.slotOf(o)] !== 0) found++;
    return found;
  }

  remove(n: number): number {
    let gone = 0;
    for (let i = 0, o = 0; i < n; i++, o += RECORD / 4) {
      const slot = this.slotOf(o);
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
      const home = this.hash(this.records, (slots[at] as number) * STRIDE, 0, 2) & mask;
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

  upsert(n: number): number {
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

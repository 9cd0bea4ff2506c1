/**
 * The typed side of asm/repair/iblt.ts: one set of 64-bit ids as coded symbols, or the search for the differences
 * between two sets. Each has an instance of the module of its own, whose memory goes away with it.
 */
import { ID_SIZE, SYMBOL_SIZE } from '../wire/repair.ts';

/** Work of one slice: about a millisecond. */
const SLICE = 200_000;

interface CodedSymbolsExports {
  memory: { readonly buffer: ArrayBuffer };
  OUT: { value: number };
  OUT_SIZE: { value: number };
  ibInit(keyOffset: number, expected: number): number;
  ibAdd(offset: number, n: number): number;
  ibSeal(): void;
  ibItems(): number;
  ibTake(offset: number, n: number): number;
  ibPass(to: number): number;
  ibStep(most: number): number;
  ibSolve(most: number): number;
  ibRead(from: number, n: number, offset: number): number;
  ibFound(): number;
  ibFoundRead(from: number, n: number, offset: number): void;
}

const SOLVING = ['dry', 'more', 'solved', 'damaged'] as const;
type Solving = (typeof SOLVING)[number];

export class CodedSymbols {
  /** Symbols that are made (owner), or that the ids are worked into (seeker). */
  made = 0;
  /** Symbols taken from the peer. */
  taken = 0;
  private readonly x: CodedSymbolsExports;
  private readonly out: number;
  private readonly outSize: number;

  /**
   * @param key 16 bytes that both nodes derive, fresh for every repair
   * @param expected about how many ids will be added: to grow memory once is cheaper than to grow it often
   */
  constructor(module: WebAssembly.Module, key: Uint8Array, expected = 0) {
    this.x = new WebAssembly.Instance(module).exports as unknown as CodedSymbolsExports;
    this.out = this.x.OUT.value >>> 0;
    this.outSize = this.x.OUT_SIZE.value >>> 0;
    this.put(key.subarray(0, 16));
    this.x.ibInit(this.out, expected);
  }

  get items(): number {
    return this.x.ibItems();
  }

  get found(): number {
    return this.x.ibFound();
  }

  /** Bytes of memory that these symbols hold. */
  get bytes(): number {
    return this.x.memory.buffer.byteLength;
  }

  /** Adds ids (8 bytes each, at most 16 KiB). false: no memory. */
  add(ids: Uint8Array): boolean {
    this.put(ids);
    return this.x.ibAdd(this.out, ids.length / ID_SIZE) !== 0;
  }

  /** All ids are added: symbols may be made or taken from now on. */
  seal(): void {
    this.x.ibSeal();
  }

  /** Begins to work the ids into the symbols up to `to`; `step` or `solve` does the work. false: no memory. */
  pass(to: number): boolean {
    if (this.x.ibPass(to) === 0) return false;
    this.made = to;
    return true;
  }

  /** Owner: one slice of making symbols; true while there is more to do. */
  step(): boolean {
    return this.x.ibStep(SLICE) !== 0;
  }

  /** Owner: symbols `from` to `from + n - 1`, which must be made, for the wire. */
  read(from: number, n: number): Buffer {
    const out = Buffer.alloc(n * SYMBOL_SIZE);
    for (let at = 0; at < n; ) {
      const piece = Math.min(n - at, this.outSize / SYMBOL_SIZE);
      if (this.x.ibRead(from + at, piece, this.out) === 0) return out.subarray(0, at * SYMBOL_SIZE);
      out.set(new Uint8Array(this.x.memory.buffer, this.out, piece * SYMBOL_SIZE), at * SYMBOL_SIZE);
      at += piece;
    }
    return out;
  }

  /** Seeker: the peer's next symbols (at most 16 KiB). false: no memory. */
  take(symbols: Uint8Array): boolean {
    this.put(symbols);
    const n = symbols.length / SYMBOL_SIZE;
    if (this.x.ibTake(this.out, n) === 0) return false;
    this.taken += n;
    return true;
  }

  /** Seeker: one slice. `dry`: nothing more can be found without more symbols; `solved`: every difference is found. */
  solve(): Solving {
    return SOLVING[this.x.ibSolve(SLICE)] ?? 'damaged';
  }

  /** Seeker: the ids that one side has and the other has not. */
  differences(): Buffer {
    const n = this.found;
    const out = Buffer.from(new ArrayBuffer(n * ID_SIZE));
    for (let at = 0; at < n; ) {
      const piece = Math.min(n - at, this.outSize / ID_SIZE);
      this.x.ibFoundRead(at, piece, this.out);
      out.set(new Uint8Array(this.x.memory.buffer, this.out, piece * ID_SIZE), at * ID_SIZE);
      at += piece;
    }
    return out;
  }

  private put(bytes: Uint8Array): void {
    new Uint8Array(this.x.memory.buffer, this.out, this.outSize).set(bytes.subarray(0, this.outSize));
  }
}

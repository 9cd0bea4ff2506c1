/** A rateless IBLT in plain TypeScript, straight from the formulas: what asm/repair/iblt.ts must do, bit for bit. */

const U64 = (1n << 64n) - 1n;

export interface Symbol64 {
  ids: bigint;
  checks: bigint;
}

function mix(x: bigint): bigint {
  let z = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & U64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & U64;
  return z ^ (z >> 31n);
}

export class ReferenceIblt {
  private readonly k0: bigint;
  private readonly k1: bigint;

  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 16);
    this.k0 = view.getBigUint64(0, true);
    this.k1 = view.getBigUint64(8, true);
  }

  check(id: bigint): bigint {
    return mix((mix(id ^ this.k1) + this.k0) & U64);
  }

  /** The symbols below `m` that the id is part of. */
  *indices(id: bigint, m: number): Generator<number> {
    let gen = mix(id ^ this.k0);
    for (let index = 0; index < m; ) {
      yield index;
      gen = (gen * 6364136223846793005n + 1442695040888963407n) & U64;
      const u = (Number(gen >> 11n) + 1) * 2 ** -53;
      index += Math.max(1, Math.ceil((index + 1.5) * (1 / Math.sqrt(u) - 1)));
    }
  }

  symbols(ids: Iterable<bigint>, m: number): Symbol64[] {
    const out = Array.from({ length: m }, () => ({ ids: 0n, checks: 0n }));
    for (const id of ids) this.toggle(out, id);
    return out;
  }

  private toggle(symbols: Symbol64[], id: bigint): void {
    const check = this.check(id);
    for (const index of this.indices(id, symbols.length)) {
      const symbol = symbols[index];
      if (symbol === undefined) return;
      symbol.ids ^= id;
      symbol.checks ^= check;
    }
  }

  /** The ids that only one side has, or `null` when these symbols are not enough. */
  solve(a: Symbol64[], b: Symbol64[]): Set<bigint> | null {
    const rest = a.map((s, i) => ({ ids: s.ids ^ (b[i]?.ids ?? 0n), checks: s.checks ^ (b[i]?.checks ?? 0n) }));
    const found = new Set<bigint>();
    for (let progress = true; progress; ) {
      progress = false;
      for (const symbol of rest) {
        if (symbol.ids === 0n || symbol.checks !== this.check(symbol.ids) || found.has(symbol.ids)) continue;
        found.add(symbol.ids);
        this.toggle(rest, symbol.ids);
        progress = true;
      }
    }
    return rest[0]?.ids === 0n && rest[0].checks === 0n ? found : null;
  }
}

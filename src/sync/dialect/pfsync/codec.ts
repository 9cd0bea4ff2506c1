/**
 * The typed side of asm/pfsync/: frames of the BSD dialects to messages and back. Each codec has its own instance of
 * the module, so that a frame here touches no table. Pure but for that memory.
 */
import * as L from '../../../../asm/pfsync/layout.ts';
import { readItem, writeItem } from './fields.ts';
import type { PfItem } from './item.ts';

/** By their numbers in asm/pfsync/layout.ts. */
export const DIALECTS = ['openbsd', 'freebsd-1301', 'freebsd-1400', 'freebsd-1500'] as const;
export type PfDialect = (typeof DIALECTS)[number];

/** By their numbers in asm/pfsync/layout.ts. */
const KINDS = [
  'CLR',
  'INS',
  'INS_ACK',
  'UPD',
  'UPD_C',
  'UPD_REQ',
  'DEL',
  'DEL_C',
  'BUS',
  'TDB',
  'EOF',
  'skipped',
] as const;
export type PfKind = (typeof KINDS)[number];

const REFUSALS = [null, 'hdrops', 'badver', 'badlen', 'badact', 'badval', 'no_creator', 'badname'] as const;
/**
 * Why a frame, its rest, or one of its items is refused: pfsync's own counters, and two cases that those do not tell.
 */
type PfRefusal = Exclude<(typeof REFUSALS)[number], null>;

interface PfMessage {
  kind: PfKind;
  /** The action's number on the wire. */
  action: number;
  /** Those that may be used. */
  items: PfItem[];
  /** The others, each with why. */
  refused: { item: PfItem; why: PfRefusal }[];
}

export interface PfFrame {
  messages: PfMessage[];
  /** Why the frame, or its rest, was refused; a frame with bytes behind EOF is used and has a refusal all the same. */
  refused: PfRefusal | null;
  /** 16 bytes, hex. */
  checksum: string;
}

interface PfExports {
  memory: { readonly buffer: ArrayBuffer };
  PF_FRAME: { value: number };
  PF_OUT: { value: number };
  PF_ITEM: { value: number };
  pfOpen(dialect: number, frame: number, length: number): number;
  pfMessage(): number;
  pfKind(): number;
  pfAction(): number;
  pfCount(): number;
  pfRefusal(): number;
  pfRead(i: number): number;
  pfBegin(dialect: number, frame: number, room: number): void;
  pfAdd(kind: number): number;
  pfEnd(hmac: number): number;
}

/** The frame areas of the module (asm/state/memory.ts): more than any device's MTU on a sync link. */
const LARGEST_FRAME = 0x4000;
const HEADER = 20;

export class PfCodec {
  readonly dialect: PfDialect;
  readonly #number: number;
  readonly #x: PfExports;
  readonly #frame: Buffer;
  readonly #out: Buffer;
  readonly #item: Buffer;

  /** @throws Error when the module is another version's */
  constructor(module: WebAssembly.Module, dialect: PfDialect) {
    this.dialect = dialect;
    this.#number = DIALECTS.indexOf(dialect);
    this.#x = new WebAssembly.Instance(module).exports as unknown as PfExports;
    if (this.#x.PF_ITEM === undefined) throw new Error('the WebAssembly module has no pfsync: run npm run build');
    // Nothing here makes the memory grow, so the views stay good.
    const area = (at: { value: number }, size: number): Buffer => Buffer.from(this.#x.memory.buffer, at.value, size);
    this.#frame = area(this.#x.PF_FRAME, LARGEST_FRAME);
    this.#out = area(this.#x.PF_OUT, LARGEST_FRAME);
    this.#item = area(this.#x.PF_ITEM, L.P_SIZE);
  }

  /** @param frame from the pfsync header on */
  decode(frame: Uint8Array): PfFrame {
    const taken = frame.subarray(0, LARGEST_FRAME);
    this.#frame.set(taken);
    const checksum = taken.length < HEADER ? '' : this.#frame.toString('hex', 4, HEADER);
    const opened = REFUSALS[this.#x.pfOpen(this.#number, this.#x.PF_FRAME.value, taken.length)] ?? null;
    const messages: PfMessage[] = [];
    if (opened !== null) return { messages, refused: opened, checksum };
    while (this.#x.pfMessage() !== 0) messages.push(this.#message());
    return { messages, refused: REFUSALS[this.#x.pfRefusal()] ?? null, checksum };
  }

  #message(): PfMessage {
    const message: PfMessage = {
      kind: KINDS[this.#x.pfKind()] ?? 'skipped',
      action: this.#x.pfAction(),
      items: [],
      refused: [],
    };
    if (message.kind === 'skipped' || message.kind === 'EOF') return message;
    for (let i = 0; i < this.#x.pfCount(); i++) {
      const why = REFUSALS[this.#x.pfRead(i)] ?? null;
      const item = readItem(this.#item);
      if (why === null) message.items.push(item);
      else message.refused.push({ item, why });
    }
    return message;
  }

  /** Begins a frame of at most `room` bytes; add() fills it, end() takes it. */
  begin(room: number): void {
    this.#x.pfBegin(this.#number, this.#x.PF_OUT.value, Math.min(room, LARGEST_FRAME));
  }

  /** false: the frame is full, nothing was added. @throws RangeError for a value that does not fit its field */
  add(kind: Exclude<PfKind, 'EOF' | 'skipped'>, item: PfItem): boolean {
    writeItem(this.#item, item);
    return this.#x.pfAdd(KINDS.indexOf(kind)) !== 0;
  }

  /**
   * The frame, good until the next begin().
   * @param checksum 16 bytes of the ruleset; 0 says "unknown", and binds the states to the default rule
   * @param hmac adds the 20 bytes that FreeBSD 9 has behind EOF
   */
  end({ checksum, hmac = false }: { checksum?: Uint8Array; hmac?: boolean } = {}): Buffer {
    const length = this.#x.pfEnd(hmac ? 1 : 0);
    if (checksum !== undefined) this.#out.set(checksum.subarray(0, 16), 4);
    return this.#out.subarray(0, length);
  }
}

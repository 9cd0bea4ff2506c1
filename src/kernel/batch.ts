/**
 * recvmmsg(2) straight into WebAssembly memory: one call, up to `slots` messages, no copy.
 *
 * Layout of struct mmsghdr on 64-bit Linux (64 bytes): msg_name ptr, msg_namelen u32, msg_iov ptr, msg_iovlen u64,
 * msg_control ptr, msg_controllen u64, msg_flags i32, then msg_len u32 at offset 56. An iovec is base ptr, length u64.
 */
import { addressOf, Errno, errno, libc, Sock } from './libc.ts';

/** A WebAssembly.Memory, of which only this matters here: its buffer is another object after it has grown. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

const MMSGHDR = 64;
const IOVEC = 16;
const SOCKADDR = 32;
const NAMELEN_AT = 8;
const LENGTH_AT = 56;
const FLAGS_AT = 48;
/** Places in an array of 32-bit words; all machines this runs on are little endian. */
const WORDS = MMSGHDR / 4;

/** What one call has brought. */
export type Batch =
  /** `count` messages lie in their slots. */
  | { kind: 'messages'; count: number }
  | { kind: 'empty' }
  /** The kernel dropped messages of this socket because its buffer was full (netlink(7)). */
  | { kind: 'overrun' }
  | { kind: 'error'; errno: number };

const NOBODY = Buffer.alloc(0);
const EMPTY: Batch = { kind: 'empty' };

export class BatchReceiver {
  readonly slots: number;
  readonly slotSize: number;
  private readonly memory: WasmMemory;
  private readonly offset: number;
  private readonly headers: Buffer;
  private readonly words: Uint32Array;
  private readonly vectors: Buffer;
  private readonly names: Buffer | null;
  private boundTo: ArrayBufferLike | null = null;
  private used: number;

  /**
   * @param offset of the first slot in `memory`; the slots follow each other
   * @param named the senders' addresses are wanted
   */
  constructor(memory: WasmMemory, offset: number, slots: number, slotSize: number, named = true) {
    this.memory = memory;
    this.offset = offset;
    this.slots = slots;
    this.slotSize = slotSize;
    this.words = new Uint32Array(slots * WORDS);
    this.headers = Buffer.from(this.words.buffer);
    this.vectors = Buffer.alloc(slots * IOVEC);
    this.names = named ? Buffer.alloc(slots * SOCKADDR) : null;
    this.used = slots;
  }

  /** Never blocks. */
  receive(fd: number): Batch {
    this.bind();
    // The kernel has put the length of each sender's address there.
    if (this.names !== null) for (let i = 0; i < this.used; i++) this.words[i * WORDS + NAMELEN_AT / 4] = SOCKADDR;
    this.used = 0;
    const count = libc().recvmmsg(fd, this.headers, this.slots, Sock.MSG_DONTWAIT, null);
    if (count > 0) {
      this.used = count;
      return { kind: 'messages', count };
    }
    if (count === 0) return EMPTY;
    const error = errno();
    if (error === Errno.EAGAIN || error === Errno.EINTR) return EMPTY;
    if (error === Errno.ENOBUFS) return { kind: 'overrun' };
    return { kind: 'error', errno: error };
  }

  slotOffset(slot: number): number {
    return this.offset + slot * this.slotSize;
  }

  /**
   * Bytes received into the slot; a message that did not fit counts as its slot's size and is reported by `truncated`.
   */
  length(slot: number): number {
    return Math.min(this.words[slot * WORDS + LENGTH_AT / 4] ?? 0, this.slotSize);
  }

  truncated(slot: number): boolean {
    return ((this.words[slot * WORDS + FLAGS_AT / 4] ?? 0) & Sock.MSG_TRUNC) !== 0;
  }

  /** The sender's socket address as the kernel gave it (sockaddr_in, sockaddr_nl …); empty when none was wanted. */
  name(slot: number): Buffer {
    return (this.names ?? NOBODY).subarray(slot * SOCKADDR, (slot + 1) * SOCKADDR);
  }

  // The memory's buffer object is another one after it has grown; then every address is taken again.
  private bind(): void {
    if (this.boundTo === this.memory.buffer) return;
    this.boundTo = this.memory.buffer;
    const base = addressOf(new Uint8Array(this.memory.buffer));
    const vectors = addressOf(this.vectors);
    const names = this.names === null ? 0n : addressOf(this.names);
    for (let i = 0; i < this.slots; i++) {
      this.vectors.writeBigUInt64LE(base + BigInt(this.slotOffset(i)), i * IOVEC);
      this.vectors.writeBigUInt64LE(BigInt(this.slotSize), i * IOVEC + 8);
      const header = i * MMSGHDR;
      this.headers.writeBigUInt64LE(names === 0n ? 0n : names + BigInt(i * SOCKADDR), header);
      this.headers.writeBigUInt64LE(vectors + BigInt(i * IOVEC), header + 16);
      this.headers.writeBigUInt64LE(1n, header + 24);
    }
  }
}

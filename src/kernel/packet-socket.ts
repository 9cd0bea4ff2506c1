/**
 * Whole Ethernet frames, out of and into one device (AF_PACKET).
 *
 * sockaddr_ll: u16 family, u16 protocol (network order), i32 device index, u16 hardware type, u8 packet type,
 * u8 address length, u8 address[8]; 20 bytes.
 */
import { close } from 'node:fs';
import { addressOf, check, Errno, errno, libc, Sock, SysError } from './libc.ts';
import { type FdWatch, watchFd } from './uv-poll.ts';

export const ETH_P_ALL = 0x0003;
const SO_ATTACH_FILTER = 26;
const SO_MARK = 36;
const SOCKADDR_LL = 20;
const PACKET_OUTGOING = 4;
const BUFFER = 9216;
const FRAMES_PER_WAKE = 64;

function linkAddress(ifindex: number, protocol: number): Buffer {
  const address = Buffer.alloc(SOCKADDR_LL);
  address.writeUInt16LE(Sock.AF_PACKET, 0);
  address.writeUInt16BE(protocol, 2);
  address.writeInt32LE(ifindex, 4);
  return address;
}

export class PacketSocket {
  #fd: number;
  #watch: FdWatch | null = null;
  #mark = 0;
  readonly #name: string;

  /**
   * @param device index and name; the name is for messages only
   * @param protocol EtherType to receive, ETH_P_ALL for all; 0 to only send
   * @param filter a classic BPF program (8 bytes an instruction): what it refuses never reaches this process
   * @throws SysError
   */
  constructor(device: { ifindex: number; name: string }, protocol = 0, filter: Uint8Array | null = null) {
    this.#name = device.name;
    const type = Sock.SOCK_RAW | Sock.SOCK_NONBLOCK | Sock.SOCK_CLOEXEC;
    // Opened with protocol 0 so that nothing arrives before the socket is bound to its device.
    this.#fd = check(libc().socket(Sock.AF_PACKET, type, 0), `open a packet socket for ${device.name}`);
    if (filter !== null) this.#attach(filter);
    const bound = libc().bind(this.#fd, linkAddress(device.ifindex, protocol), SOCKADDR_LL);
    if (bound < 0) {
      const error = errno();
      this.close();
      throw new SysError(`bind a packet socket to ${device.name}`, error);
    }
  }

  // struct sock_fprog: u16 number of instructions, then (aligned) the address of the first.
  #attach(filter: Uint8Array): void {
    const program = Buffer.alloc(16);
    program.writeUInt16LE(filter.length / 8, 0);
    program.writeBigUInt64LE(BigInt(addressOf(filter)), 8);
    const rc = libc().setsockopt(this.#fd, Sock.SOL_SOCKET, SO_ATTACH_FILTER, program, program.length);
    if (rc >= 0) return;
    const error = errno();
    this.close();
    throw new SysError(`attach a filter to a packet socket for ${this.#name}`, error);
  }

  /**
   * Sends one complete frame (destination, source, EtherType, payload). Throws SysError, ENETDOWN when the device is
   * down.
   */
  send(frame: Uint8Array): void {
    for (;;) {
      if (libc().send(this.#fd, frame, frame.length, Sock.MSG_DONTWAIT) >= 0) return;
      const error = errno();
      if (error !== Errno.EINTR) throw new SysError(`send a frame on ${this.#name}`, error);
    }
  }

  /** The mark of the frames that are sent from here on (`meta mark` in nftables), 32 bits. @throws SysError */
  mark(mark: number): void {
    if (mark === this.#mark) return;
    const value = Buffer.alloc(4);
    value.writeUInt32LE(mark >>> 0);
    check(libc().setsockopt(this.#fd, Sock.SOL_SOCKET, SO_MARK, value, 4), `mark the frames sent on ${this.#name}`);
    this.#mark = mark;
  }

  /** Calls `onFrame` with a copy of every frame that arrives (not of those this host sends). At most one receiver. */
  receive(onFrame: (frame: Buffer) => void, onError: (error: Error) => void): void {
    const buffer = Buffer.alloc(BUFFER);
    const from = Buffer.alloc(SOCKADDR_LL);
    const length = Buffer.alloc(4);
    this.#watch = watchFd(
      this.#fd,
      () => {
        for (let i = 0; i < FRAMES_PER_WAKE && this.#fd >= 0; i++) {
          length.writeUInt32LE(SOCKADDR_LL, 0);
          const got = libc().recvfrom(this.#fd, buffer, BUFFER, 0, from, length);
          if (got < 0) {
            const error = errno();
            if (error === Errno.EAGAIN) return;
            if (error === Errno.EINTR) continue;
            onError(new SysError(`receive frames on ${this.#name}`, error));
            return;
          }
          if (from.readUInt8(10) !== PACKET_OUTGOING) onFrame(Buffer.from(buffer.subarray(0, got)));
        }
      },
      onError,
    );
  }

  /** The kernel waits for all its readers (8 to 16 ms) when a packet socket goes, so that is done beside the loop. */
  close(): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd < 0) return;
    const release = (): void => close(fd, () => {});
    if (this.#watch === null) release();
    else this.#watch.close(release);
    this.#watch = null;
  }
}

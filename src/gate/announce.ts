/**
 * Telling the segment where a virtual address lives now: gratuitous ARP and unsolicited neighbour advertisement, as the
 * BSDs send them (docs/protocol/carp.md section 7). Frame builders are pure; the announcer keeps the packet socket that
 * sends them.
 */

import { SysError } from '../kernel/libc.ts';
import { PacketSocket } from '../kernel/packet-socket.ts';
import { ICMPV6, icmpv6Checksum } from '../net/checksum.ts';
import { arpRequest, ETH_P_IPV6, ETHERNET, ethernet } from '../net/frame.ts';
import { formatIp } from '../net/ip.ts';

const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
const ALL_NODES = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

const IPV6_HEADER = 40;
const NA_LENGTH = 32; // 24 and one link-layer address option
const NA_ROUTER = 0x80;
const NA_OVERRIDE = 0x20;

/**
 * Gratuitous ARP: a broadcast request whose sender and target are both the address. 42 bytes.
 *
 * UCarp fills the target hardware address with its own MAC too; BSD and RFC 5227 leave it zero, and so do we.
 * @param mac 6 bytes, the virtual MAC (in mode `physical` the NIC's own)
 * @param address 4 bytes
 */
export function gratuitousArp(mac: Uint8Array, address: Uint8Array): Buffer {
  return arpRequest(mac, address, null, address);
}

/**
 * Unsolicited neighbour advertisement to ff02::1 (RFC 4861 section 7.2.6): OVERRIDE, ROUTER if the host forwards, with
 * the target link-layer address option, hop limit 255, source = the address itself. 86 bytes.
 * @param mac 6 bytes
 * @param address 16 bytes
 */
export function unsolicitedNeighbourAdvertisement(mac: Uint8Array, address: Uint8Array, router: boolean): Buffer {
  const frame = ethernet(ALL_NODES_MAC, mac, ETH_P_IPV6, IPV6_HEADER + NA_LENGTH);
  const ip = ETHERNET;
  frame.writeUInt8(0x60, ip);
  frame.writeUInt16BE(NA_LENGTH, ip + 4);
  frame.writeUInt8(ICMPV6, ip + 6);
  frame.writeUInt8(255, ip + 7);
  frame.set(address, ip + 8);
  frame.set(ALL_NODES, ip + 24);

  const icmp = ip + IPV6_HEADER;
  frame.writeUInt8(136, icmp);
  frame.writeUInt8(NA_OVERRIDE | (router ? NA_ROUTER : 0), icmp + 4);
  frame.set(address, icmp + 8);
  frame.writeUInt8(2, icmp + 24); // option: target link-layer address
  frame.writeUInt8(1, icmp + 25); // in units of 8 bytes
  frame.set(mac, icmp + 26);
  frame.writeUInt16BE(icmpv6Checksum(frame.subarray(ip, ip + 8 + 32), frame.subarray(icmp)), icmp + 2);
  return frame;
}

/** The frame that announces an address of either family. */
export function announcement(mac: Uint8Array, address: Uint8Array, router: boolean): Buffer {
  return address.length === 4 ? gratuitousArp(mac, address) : unsolicitedNeighbourAdvertisement(mac, address, router);
}

export interface Announced {
  readonly sent: number;
  /** one per address that could not be announced; ENETDOWN when the device is down */
  readonly failed: SysError[];
}

/** Where to announce: the macvlan, or in mode `physical` the NIC. `mac` is what is announced. */
interface AnnouncedDevice {
  readonly ifindex: number;
  readonly name: string;
  readonly mac: Uint8Array;
}

/**
 * Announces on one device. The packet socket stays open between announcements: closing one makes the kernel wait for
 * all its readers (8 to 16 ms), and in the middle of a take-over nobody has that time. It outlives the device going
 * down and up; a device that was made anew has another index and gets another socket.
 */
export class Announcer {
  #socket: PacketSocket | null = null;
  #ifindex = 0;

  /**
   * Announces addresses. Never throws: what could not be sent is in the answer.
   * @param router whether this host forwards IPv6
   */
  announce(device: AnnouncedDevice, addresses: readonly Uint8Array[], router: boolean): Announced {
    const failed: SysError[] = [];
    if (addresses.length === 0) return { sent: 0, failed };
    try {
      const socket = this.#socketOn(device);
      for (const address of addresses) attempt(socket, device, address, router, failed);
    } catch (error) {
      failed.push(error as SysError);
      return { sent: 0, failed };
    }
    // Whatever was wrong with it, the next announcement begins with another one.
    if (failed.length > 0) this.close();
    return { sent: addresses.length - failed.length, failed };
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #socketOn(device: AnnouncedDevice): PacketSocket {
    if (this.#socket !== null && this.#ifindex !== device.ifindex) this.close();
    this.#socket ??= new PacketSocket(device);
    this.#ifindex = device.ifindex;
    return this.#socket;
  }
}

function attempt(
  socket: PacketSocket,
  device: AnnouncedDevice,
  address: Uint8Array,
  router: boolean,
  failed: SysError[],
): void {
  try {
    socket.send(announcement(device.mac, address, router));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    failed.push(new SysError(`announce ${formatIp(address)} on ${device.name}`, error.errno));
  }
}

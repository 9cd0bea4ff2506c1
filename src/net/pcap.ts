/** Reads capture files in the classic pcap format, both byte orders, micro- and nanoseconds. Pure. */

interface Captured {
  /** Seconds since 1970. */
  time: number;
  bytes: Buffer;
}

interface Capture {
  /** LINKTYPE_ of all its frames. */
  linkType: number;
  frames: Captured[];
  /** The file ends within a frame. */
  cut: boolean;
}

const MICRO = 0xa1b2c3d4;
const NANO = 0xa1b23c4d;
const HEADER = 24;
const FRAME_HEADER = 16;
/** What no capture tool writes: the file is damaged. */
const LARGEST = 262_144;

/** null: the bytes are no pcap file. */
export function readPcap(file: Buffer): Capture | null {
  if (file.length < HEADER) return null;
  const little = [MICRO, NANO].includes(file.readUInt32LE(0));
  const word = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const magic = word(0);
  if (magic !== MICRO && magic !== NANO) return null;
  const frames: Captured[] = [];
  let at = HEADER;
  while (at + FRAME_HEADER <= file.length) {
    const size = word(at + 8);
    const start = at + FRAME_HEADER;
    if (size > LARGEST || start + size > file.length) break;
    const time = word(at) + word(at + 4) / (magic === NANO ? 1e9 : 1e6);
    frames.push({ time, bytes: file.subarray(start, start + size) });
    at = start + size;
  }
  return { linkType: word(20) & 0xffff, frames, cut: at !== file.length };
}

const LINK_NULL = 0;
const LINK_ETHERNET = 1;
const LINK_RAW = 101;
const LINK_PFSYNC = 121;
const LINK_SLL = 113;
const ETHERTYPES = [0x0800, 0x86dd];
const ETHERTYPE_VLAN = 0x8100;

/** The IP packet in a captured frame; null when it holds none. PFSYNC: the frame is the pfsync frame itself. */
export function packetOf(linkType: number, frame: Buffer): { packet: Buffer; bare: boolean } | null {
  const ip = (offset: number) => ({ packet: frame.subarray(offset), bare: false });
  if (linkType === LINK_RAW) return ip(0);
  if (linkType === LINK_PFSYNC) return { packet: frame, bare: true };
  if (linkType === LINK_NULL) return ip(4);
  const typeAt = linkType === LINK_ETHERNET ? 12 : linkType === LINK_SLL ? 14 : -1;
  if (typeAt < 0 || frame.length < typeAt + 2) return null;
  const type = frame.readUInt16BE(typeAt);
  if (ETHERTYPES.includes(type)) return ip(typeAt + 2);
  const tagged = type === ETHERTYPE_VLAN && frame.length >= typeAt + 6;
  return tagged && ETHERTYPES.includes(frame.readUInt16BE(typeAt + 4)) ? ip(typeAt + 6) : null;
}

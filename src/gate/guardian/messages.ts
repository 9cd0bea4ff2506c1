/**
 * What the daemon and its guardian say to each other: one JSON object a message over a SOCK_SEQPACKET pair, which keeps
 * messages whole and shows the other side's death as the end of the stream.
 */
import type { LastWord } from '../../carp/adverts.ts';

/** An address on a NIC (mode `physical`); `bytes` as hex. */
interface GuardedAddress {
  bytes: string;
  prefix: number;
}

/** One vhid: what must go when the daemon goes. */
export interface GuardedVhid {
  key: string;
  /** Silence of the daemon after which the addresses go down, us (contract/carp-timers.ts, `guardLimitUs`). */
  limitUs: number;
  device: { index: number; name: string };
  /** `null`: the device is a macvlan and is taken down as a whole. */
  addresses: GuardedAddress[] | null;
  lastWords: LastWord[];
}

export type ToGuard =
  | { type: 'set'; vhid: GuardedVhid }
  | { type: 'drop'; key: string }
  /** `atUs`: monotonic; `masters`: keys of the vhids that are MASTER. */
  | { type: 'beat'; atUs: number; masters: string[] }
  /** A stop as it should be: nothing is left to guard. */
  | { type: 'bye' };

export type FromGuard =
  | { type: 'ready'; pid: number }
  /** The addresses of these vhids were taken down because the daemon was silent. */
  | { type: 'fell'; keys: string[]; silentUs: number }
  | { type: 'failed'; message: string };

/** Longest message, bytes; a socket buffer of the default size holds several. */
export const MESSAGE_BYTES = 60_000;

export function encode(message: ToGuard | FromGuard): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** `null`: not a message (only a program of another version could send one). */
export function decode<T extends ToGuard | FromGuard>(bytes: Uint8Array): T | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && 'type' in value ? (value as T) : null;
  } catch {
    return null;
  }
}

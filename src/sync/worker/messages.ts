/** What control thread and dataplane worker say to each other, and the counters they share. */

import type { StateView } from '../../contract/state-view.ts';
import type { SyncNotice } from '../../contract/sync-notice.ts';
import type { AcceptNetworks } from '../table/engine-lists.ts';

export interface WorkerConfig {
  name: string;
  /**
   * The pair's: the one to use first, then those that are accepted too while the key is changed; none: the link is
   * open.
   */
  secrets: Uint8Array[];
  /** The sync link's device, and the peer's address; `null`: multicast until the peer is heard. */
  device: string;
  ifindex: number;
  peer: string | null;
  mtu: number;
  /** Bytes of the event socket's buffer. */
  eventBuffer: number;
  syncWhen: 'all' | 'answered' | 'assured';
  /** Networks that are never synced, and this node's own addresses (its local connections are useless elsewhere). */
  ignore: string[];
  local: string[];
  /** Who may have opened what the peer hands over; `null`: anybody anything. */
  accept?: AcceptNetworks | null;
  maxStates: number;
  /** First answers of connections wait for the peer. */
  defer?: boolean;
  /** How long at most, ms. */
  deferMs?: number;
  /** The kernel's timeouts by protocol state, seconds, in the order of TIMEOUT_SYSCTLS (table/timeouts.ts). */
  timeouts: number[];
  /** What enters the session machine is recorded. */
  recording?: boolean;
  /** The loop may take real-time priority, the lowest there is. */
  realtime?: boolean;
}

export interface WorkerData {
  wasm: Uint8Array | WebAssembly.Module;
  config: WorkerConfig;
  counters: SharedArrayBuffer;
}

export type ToWorker =
  | { type: 'role'; masterAny: boolean; report: string }
  | { type: 'local'; addresses: string[] }
  /** The sync link's device has lost its carrier, or has it again. */
  | { type: 'carrier'; up: boolean }
  /** The sync link's device was made anew. */
  | { type: 'device'; ifindex: number }
  /** The pair's key has been changed: the one to use first, then those that are accepted too. */
  | { type: 'keys'; secrets: Uint8Array[] }
  | { type: 'verify'; id: number; deep: boolean }
  | { type: 'resync' }
  | { type: 'states'; id: number; cursor: number; most: number }
  /** A recording needs the whole state of the machine now. */
  | { type: 'snapshot' }
  | { type: 'stop' };

/** What `verify` found. `inStep` null: it could not find out. `corrections`: of both audits, deep only. */
export interface VerifyResult {
  inStep: boolean | null;
  reason: string | null;
  states: { own: number; mirrored: number };
  digest: string;
  corrections: { here: number; peer: number | null } | null;
  /** Deep only: one line for each state that was corrected, those of the peer as far as they fit in a datagram. */
  differences?: string[];
}

export type FromWorker =
  | { type: 'ready'; wakeFd: number }
  | { type: 'fatal'; reason: string }
  | { type: 'notice'; notice: SyncNotice }
  /** A session with this peer has begun. */
  | { type: 'peerName'; name: string }
  /** The peer's own report, as it came. */
  | { type: 'peerReport'; report: string }
  | { type: 'step'; inStep: boolean | null; reason: string | null }
  | { type: 'refused'; counters: Record<string, number> }
  | { type: 'verified'; id: number; result: VerifyResult }
  | { type: 'states'; id: number; states: StateView[]; cursor: number }
  /** Lines of a recording. */
  | { type: 'recording'; lines: string[]; bytes: number }
  | { type: 'stopped' };

/**
 * Places in the shared Float64Array. The worker writes and the control thread reads, except `controlAt` and `recorded`;
 * each is one 8-byte store.
 */
export const STAT = {
  own: 0,
  mirrored: 1,
  unclaimed: 2,
  kernelMissing: 3,
  /** When the older of the two last comparisons was (`workerClock`); NaN: never. */
  checkedAt: 4,
  lag: 5,
  sent: 6,
  received: 7,
  sentBytes: 8,
  receivedBytes: 9,
  repairs: 10,
  repairBytes: 11,
  overruns: 12,
  heardAt: 13,
  alive: 14,
  digestHigh: 15,
  digestLow: 16,
  events: 17,
  inserted: 18,
  passAt: 19,
  memory: 20,
  open: 21,
  dirty: 22,
  /** Written by the control thread: when it last turned. */
  controlAt: 23,
  /** Written by the control thread: bytes of recording it has taken over. */
  recorded: 24,
  /** The first of SLICE_PLACES (slices.ts). */
  slices: 32,
} as const;

export const STAT_COUNT = 48;

/** Monotonic milliseconds that mean the same on every thread of the process. */
export function workerClock(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** The same clock for one thread that reads it often: a tenth of the cost, because it makes no BigInt. */
export function threadClock(): () => number {
  const ahead = workerClock() - performance.now();
  return () => performance.now() + ahead;
}

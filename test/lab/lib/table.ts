/** The kernels' connection tables, attribute by attribute. */
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../../scripts/lab/lab.ts';
import type { FirewallName } from '../../../scripts/lab/plan.ts';

const PROGRAM = fileURLToPath(new URL('./table-program.ts', import.meta.url));

type Tuple = { 1: Record<string, string>; 2: Record<string, string>; 3?: string };

/** One entry; attributes by their numbers (mapping.md section 2), integers as big endian hex. */
export interface Entry {
  family: number;
  1: Tuple;
  2: Tuple;
  3: string;
  4?: Record<string, Record<string, string>>;
  5?: { 1: string };
  7?: string;
  8?: string;
  15?: Record<string, string>;
  16?: Record<string, string>;
  18?: string;
  22?: string;
}

export const number = (hex: string | undefined): number => (hex === undefined ? 0 : Number.parseInt(hex, 16));

/** Entries to a port (or GRE key) of the original direction, or of a protocol without ports. */
export async function entries(lab: Lab, node: FirewallName, test: (entry: Entry) => boolean): Promise<Entry[]> {
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
  const { stdout } = await lab.exec(node, argv);
  const all = stdout.split('\n').filter(Boolean);
  return all.map((line) => JSON.parse(line) as Entry).filter(test);
}

export const protocol = (entry: Entry): number => number(entry[1][2][1]);
export const toPort =
  (port: number) =>
  (entry: Entry): boolean =>
    number(entry[1][2][3]) === port;

const SEEN_REPLY_ASSURED = 6;

/** All that both kernels must agree on, as text; timeouts, counters, ids and the liberal flag differ by nature. */
export function agreed(entry: Entry): string {
  const { 4: info, 5: help, 8: mark, 15: seq, 16: seqReply, 18: zone, 22: labels } = entry;
  const tcp = info?.[1]?.[1];
  const sctp = info?.[3];
  const status = number(entry[3]) & SEEN_REPLY_ASSURED;
  const parts = { 1: entry[1], 2: entry[2], status, tcp, sctp, help: help?.[1], mark: number(mark), seq, seqReply };
  return JSON.stringify({ ...parts, zone, labels });
}

/** Hostile packets, made byte by byte here so that a mistake of Carpio's own codec cannot hide. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Lab } from '../../../scripts/lab/lab.ts';
import type { NodeName } from '../../../scripts/lab/plan.ts';

export interface Packet {
  protocol: number;
  to: string;
  ttl: number;
  bytes: Uint8Array;
}

export const CARP = 112;
export const SYNC = 240;
export const CARP_GROUP = '224.0.0.18';

/** Sends packets from a machine; resolves with how many went out. */
export async function inject(lab: Lab, node: NodeName, packets: readonly Packet[]): Promise<number> {
  const file = '/run/lab/packets.jsonl';
  const lines = packets.map(({ bytes, ...rest }) =>
    JSON.stringify({ ...rest, hex: Buffer.from(bytes).toString('hex') }),
  );
  writeFileSync(file, lines.join('\n'));
  const program = new URL('inject.ts', import.meta.url).pathname;
  const { stdout } = await lab.exec(node, [process.execPath, '--disable-warning=ExperimentalWarning', program, file]);
  return Number(stdout);
}

export interface AdvertFields {
  version?: number;
  vhid?: number;
  advskew?: number;
  /** False: the checksum is wrong by one. */
  sound?: boolean;
  length?: number;
}

/**
 * A CARP advertisement with a digest of zeros: 36 bytes; version and type, vhid, advskew, length of the authentication
 * data in words, demotion, advbase, checksum, counter (8), digest (20).
 */
export function advert(fields: AdvertFields = {}): Uint8Array {
  const bytes = Buffer.alloc(36);
  bytes[0] = ((fields.version ?? 2) << 4) | 1;
  bytes[1] = fields.vhid ?? 2;
  bytes[2] = fields.advskew ?? 0;
  bytes[3] = 7;
  bytes[5] = 1;
  let sum = 0;
  for (let i = 0; i < 36; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes.writeUInt16BE((~sum & 0xffff) ^ (fields.sound === false ? 1 : 0), 6);
  return bytes.subarray(0, fields.length ?? 36);
}

/** Random bytes that are the same in every run. */
export function noise(seed: string, length: number): Uint8Array {
  const pieces: Buffer[] = [];
  for (let have = 0, n = 0; have < length; have += 32, n++) {
    pieces.push(createHash('sha256').update(`${seed} ${n}`).digest());
  }
  return Buffer.concat(pieces).subarray(0, length);
}

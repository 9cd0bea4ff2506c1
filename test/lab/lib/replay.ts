/** Somebody on the segment who plays captured advertisements again. */
import type { Lab } from '../../../scripts/lab/lab.ts';
import type { NodeName } from '../../../scripts/lab/plan.ts';
import { internetChecksum } from '../../../src/net/checksum.ts';
import type { Frame } from './sniff.ts';

/** Sends whole frames from a machine of the lab. */
export async function play(lab: Lab, node: NodeName, device: string, frames: readonly Buffer[]): Promise<void> {
  const program = new URL('play-program.ts', import.meta.url).pathname;
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', program, device];
  await lab.exec(node, [...argv, ...frames.map((frame) => frame.toString('hex'))]);
}

/** The frame as it was on the wire. */
export function whole({ destination, source, etherType, payload }: Frame): Buffer {
  const head = Buffer.alloc(14);
  Buffer.from(destination.replaceAll(':', ''), 'hex').copy(head, 0);
  Buffer.from(source.replaceAll(':', ''), 'hex').copy(head, 6);
  head.writeUInt16BE(etherType, 12);
  return Buffer.concat([head, payload]);
}

/** An IPv4 advertisement with other timers: digest and counter as captured, checksum right again. */
export function withTimers(frame: Buffer, advbase: number, advskew: number): Buffer {
  const forged = Buffer.from(frame);
  const carp = 14 + 20;
  forged[carp + 2] = advskew;
  forged[carp + 5] = advbase;
  forged.writeUInt16BE(0, carp + 6);
  let sum = 0;
  for (let i = 0; i < 36; i += 2) sum += forged.readUInt16BE(carp + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  forged.writeUInt16BE(~sum & 0xffff, carp + 6);
  return forged;
}

/** The same IPv4 packet from another address: CARP's digest does not cover who sends it. */
export function fromAddress(frame: Buffer, address: string): Buffer {
  const forged = Buffer.from(frame);
  forged.set(address.split('.').map(Number), 14 + 12);
  forged.writeUInt16BE(0, 14 + 10);
  forged.writeUInt16BE(internetChecksum(forged.subarray(14, 14 + 20)), 14 + 10);
  return forged;
}

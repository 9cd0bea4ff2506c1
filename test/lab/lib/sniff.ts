/** Frames as a machine of the lab sees them, read here byte by byte so that a mistake of Carpio's codec cannot hide. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Lab } from '../../../scripts/lab/lab.ts';
import type { NodeName } from '../../../scripts/lab/plan.ts';

export interface Frame {
  /** Wall clock, ms. */
  at: number;
  destination: string;
  source: string;
  etherType: number;
  /** Behind the Ethernet header. */
  payload: Buffer;
}

interface SeenAdvert extends Frame {
  family: 4 | 6;
  from: string;
  to: string;
  ttl: number;
  /** The whole IP packet's payload: 36 bytes. */
  carp: Buffer;
  vhid: number;
  advskew: number;
  demote: number;
  advbase: number;
}

const mac = (bytes: Buffer): string => bytes.toString('hex').replace(/..\B/g, '$&:');

export class Sniffer {
  readonly frames: Frame[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(lab: Lab, node: NodeName, device: string): Promise<Sniffer> {
    const program = new URL('sniff-program.ts', import.meta.url).pathname;
    const argv = [process.execPath, '--disable-warning=ExperimentalWarning', program, device];
    const child = lab.spawn(node, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    const sniffer = new Sniffer(child);
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const { at, hex } = JSON.parse(line) as { at?: number; hex?: string };
        if (at === undefined || hex === undefined) resolve();
        else sniffer.#take(at, Buffer.from(hex, 'hex'));
      });
      child.on('exit', () => reject(new Error(`the sniffer on ${node} has ended`)));
    });
    return sniffer;
  }

  /** Advertisements of a vhid since `since` (wall clock, ms). */
  adverts(vhid: number, since = 0): SeenAdvert[] {
    return this.frames.flatMap((frame) => {
      const advert = frame.at < since ? null : readAdvert(frame);
      return advert !== null && advert.vhid === vhid ? [advert] : [];
    });
  }

  stop(): void {
    this.#child.removeAllListeners('exit');
    this.#child.stdin!.end();
  }

  #take(at: number, bytes: Buffer): void {
    const [destination, source] = [mac(bytes.subarray(0, 6)), mac(bytes.subarray(6, 12))];
    this.frames.push({ at, destination, source, etherType: bytes.readUInt16BE(12), payload: bytes.subarray(14) });
  }
}

function readAdvert(frame: Frame): SeenAdvert | null {
  const ip = frame.payload;
  if (frame.etherType === 0x0800 && ip[9] === 112) {
    const head = ((ip[0] ?? 0) & 0x0f) * 4;
    const [from, to] = [[...ip.subarray(12, 16)].join('.'), [...ip.subarray(16, 20)].join('.')];
    return fields(frame, 4, from, to, ip[8] ?? 0, ip.subarray(head, ip.readUInt16BE(2)));
  }
  if (frame.etherType === 0x86dd && ip[6] === 112) {
    const text = (at: number): string => ip.subarray(at, at + 16).toString('hex');
    return fields(frame, 6, text(8), text(24), ip[7] ?? 0, ip.subarray(40, 40 + ip.readUInt16BE(4)));
  }
  return null;
}

function fields(frame: Frame, family: 4 | 6, from: string, to: string, ttl: number, carp: Buffer): SeenAdvert {
  const [, vhid, advskew, , demote, advbase] = carp;
  return {
    ...frame,
    family,
    from,
    to,
    ttl,
    carp,
    vhid: vhid ?? 0,
    advskew: advskew ?? 0,
    demote: demote ?? 0,
    advbase: advbase ?? 0,
  };
}

import { readFileSync, statSync } from 'node:fs';
import { fileTrouble } from '../config/secret-files.ts';
import { packetOf, readPcap } from '../net/pcap.ts';
import { loadAssets } from '../node/assets.ts';
import { DIALECTS, PfCodec, type PfDialect } from '../sync/dialect/pfsync/codec.ts';
import { readPacket } from '../sync/dialect/pfsync/packet.ts';
import { type Command, CommandError, EXIT, UsageError } from './command.ts';
import { type DumpedFrame, frameJson, frameText } from './pfsync-text.ts';

/** Longest capture file, bytes. */
const MAX_FILE = 512 * 1024 * 1024;

function readCapture(path: string): NonNullable<ReturnType<typeof readPcap>> {
  let file: Buffer;
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE) throw new CommandError(`${path}: found ${size} bytes, allowed at most ${MAX_FILE}`);
    file = readFileSync(path);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path}: ${fileTrouble(error)}`);
  }
  const capture = readPcap(file);
  if (capture === null) throw new CommandError(`${path}: not a pcap file (pcapng: editcap -F pcap IN OUT)`);
  return capture;
}

/** The first codec that takes the whole frame; else the first, which says why not. */
function decode(codecs: readonly PfCodec[], bytes: Buffer): Pick<DumpedFrame, 'dialect' | 'frame'> {
  const tried = codecs.map((codec) => ({ dialect: codec.dialect, frame: codec.decode(bytes) }));
  const clean = tried.find(
    ({ frame }) => frame.refused === null && frame.messages.every((one) => one.refused.length === 0),
  );
  return clean ?? tried.find(({ frame }) => frame.messages.length > 0) ?? tried[0]!;
}

const isDialect = (word: string): word is PfDialect => DIALECTS.some((one) => one === word);

export const command: Command = {
  name: 'pfsync',
  positionals: ['dump', 'FILE'],
  options: [
    {
      name: 'dialect',
      value: 'NAME',
      help: 'read the frames as this one (default: the first that fits)',
      choices: DIALECTS,
    },
    { name: 'json', help: 'print each frame as a line of JSON' },
  ],
  details: `
Prints the pfsync frames of a capture file (pcap, as tcpdump -w writes it on the sync interface or on pfsync0), with the states
spelled out as pfctl -s states prints them. Frames of OpenBSD (version 6) and of FreeBSD (records of 13, 14 and 15; 9 and later are
read) are known. What is damaged is named with the reason, counted, and passed over.
Exit: 0 all frames were read, 1 some were not, or the file holds none.`,
  async run(args, io) {
    const [verb = '', path = ''] = args.positionals;
    if (verb !== 'dump') throw new UsageError(`found ${verb}, allowed dump`);
    const wanted = args.options.dialect;
    const names = typeof wanted === 'string' && isDialect(wanted) ? [wanted] : DIALECTS;
    const capture = readCapture(path);
    const module = new WebAssembly.Module(Buffer.from(loadAssets().wasm));
    const codecs = names.map((name) => new PfCodec(module, name));
    let [shown, damaged] = [0, 0];
    for (const { time, bytes } of capture.frames) {
      const found = packetOf(capture.linkType, bytes);
      const packet = found === null ? null : found.bare ? bare(found.packet) : readPacket(found.packet);
      if (packet === null) continue;
      const { src, dst, ttl, frame } = packet;
      const dumped = { time, src, dst, ttl, bytes: frame.length, ...decode(codecs, frame) };
      shown += 1;
      if (dumped.frame.refused !== null) damaged += 1;
      await io.out(args.options.json === true ? frameJson(dumped) : frameText(dumped));
    }
    if (shown === 0) io.err(`${path}: no pfsync frame in ${capture.frames.length} captured ones`);
    if (damaged > 0) io.err(`${path}: ${damaged} of ${shown} frames could not be read whole`);
    if (capture.cut) io.err(`${path}: the file ends within a frame`);
    return shown > 0 && damaged === 0 ? EXIT.done : EXIT.no;
  },
};

/** A capture on the device pfsync0 has no IP header. */
const bare = (frame: Buffer) => ({ src: 'pfsync', dst: 'pfsync', ttl: 255, frame });

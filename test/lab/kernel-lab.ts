/**
 * What the kernel lab tests share: a network namespace of one's own, `ip`, and waiting for what must happen.
 *
 * Both ends of a cable (veth e0 = p0) are in the one namespace: e0 is the node's NIC, p0 is "the rest of the segment"
 * and has no addresses, so that every frame seen or sent there is the test's.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { PacketSocket } from '../../src/kernel/packet-socket.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink.ts';
import { internetChecksum } from '../../src/net/checksum.ts';

const MARK = 'CARPIO_KERNEL_LAB';

/**
 * True inside the namespace. Outside: runs this same file again inside one, and ends the process with its exit code; or
 * prints why that is not possible and returns false.
 */
export function insideNamespace(): boolean {
  if (process.env[MARK] === '1') return true;
  const user = process.getuid?.() === 0 ? [] : ['-Ur'];
  const unshare = [...user, '-mnpf', '--mount-proc', '--kill-child'];
  const probe = spawnSync('unshare', [...unshare, 'ip', 'link', 'show', 'lo'], { encoding: 'utf8' });
  if (probe.status !== 0) {
    const why = (probe.error?.message ?? probe.stderr).trim().split('\n')[0];
    console.log(`skip: no network namespace can be made here (unshare ${unshare.join(' ')}: ${why})`);
    return false;
  }
  // Whoever kills this process kills the namespace with it.
  const tied = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL', 'unshare'] : ['unshare'];
  const program = [...tied, ...unshare, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const again = spawnSync(program[0]!, program.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: '1' },
  });
  process.exit(again.status ?? 1);
}

/** Runs a command, throws with its own words when it fails. */
export function run(command: string, input?: string): string {
  const [program = '', ...args] = command.split(/\s+/);
  const done = spawnSync(program, args, { encoding: 'utf8', ...(input === undefined ? {} : { input }) });
  if (done.status !== 0) throw new Error(`${command}: ${done.error?.message ?? done.stderr}`);
  return done.stdout;
}

/** A cable from `name` (the node) to `far` (the segment), both up. The node's end gets the addresses. */
export function cable(name: string, far: string, addresses: readonly string[]): void {
  run(`ip link add ${name} type veth peer name ${far}`);
  // The far end is silent by itself.
  run(`ip link set ${far} addrgenmode none`);
  run(`ip link set ${name} up`);
  run(`ip link set ${far} up`);
  for (const address of addresses) run(`ip addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
}

export function remove(device: string): void {
  spawnSync('ip', ['link', 'del', device]);
}

export function indexOf(name: string): number {
  const rtnl = new Rtnetlink();
  try {
    const link = rtnl.link(name);
    if (link === null) throw new Error(`no device ${name}`);
    return link.index;
  } finally {
    rtnl.close();
  }
}

/** Listens to and speaks on the segment. */
export class Segment {
  readonly frames: Buffer[] = [];
  readonly #socket: PacketSocket;
  #waiting: (() => void)[] = [];

  constructor(name: string) {
    this.#socket = new PacketSocket({ ifindex: indexOf(name), name }, 0x0003);
    this.#socket.receive(
      (frame) => {
        this.frames.push(frame);
        for (const wake of this.#waiting.splice(0)) wake();
      },
      (error) => {
        // The far end goes down in some tests; the socket stays usable.
        if (!error.message.includes('ENETDOWN')) throw error;
      },
    );
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  /** The first frame, past or to come, for which `matches`; null after `ms`. */
  async find(matches: (frame: Buffer) => boolean, ms = 2000): Promise<Buffer | null> {
    const end = performance.now() + ms;
    for (let from = 0; ; ) {
      for (; from < this.frames.length; from++) {
        const frame = this.frames[from]!;
        if (matches(frame)) return frame;
      }
      const left = end - performance.now();
      if (left <= 0) return null;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  clear(): void {
    this.frames.length = 0;
  }

  close(): void {
    this.#socket.close();
  }
}

/** Resolves when `when()` is true, checked whenever `poke` is called by what the test listens to; throws after `ms`. */
export class Until {
  #waiting: (() => void)[] = [];

  poke(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async wait(when: () => boolean, what: string, ms = 2000): Promise<void> {
    const end = performance.now() + ms;
    while (!when()) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`not within ${ms} ms: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

/**
 * Asks again every 50 ms until it is so. For what the kernel does in its own time: news of a carrier pass through a
 * queue that is worked off once a second when they come thick.
 */
export async function eventually(is: () => Promise<boolean>, what: string, ms = 5000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await is())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const text = (mac: Uint8Array): string => Buffer.from(mac).toString('hex');

/** An ARP request from a stranger (02:00:00:00:00:99, `from`) for `who`. */
export function arpRequest(from: Uint8Array, who: Uint8Array): Buffer {
  const frame = Buffer.alloc(42);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 0x99], 6);
  frame.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x99], 12);
  frame.set(from, 28);
  frame.set(who, 38);
  return frame;
}

export const isArpReplyFor =
  (who: Uint8Array) =>
  (frame: Buffer): boolean =>
    frame.readUInt16BE(12) === 0x0806 && frame.readUInt16BE(20) === 2 && frame.subarray(28, 32).equals(who);

/** A neighbour solicitation from a stranger (02:00:00:00:00:99, fe80::99) for `who`, to its solicited-node group. */
export function neighbourSolicitation(who: Uint8Array): Buffer {
  const frame = Buffer.alloc(86);
  frame.set([0x33, 0x33, 0xff, ...who.subarray(13)], 0);
  frame.set([2, 0, 0, 0, 0, 0x99, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255], 6);
  frame.set([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99], 22);
  frame.set([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...who.subarray(13)], 38);
  frame.writeUInt8(135, 54);
  frame.set(who, 62);
  frame.set([1, 1, 2, 0, 0, 0, 0, 0x99], 78);
  const pseudo = Buffer.concat([frame.subarray(22, 54), Buffer.from([0, 0, 0, 32, 0, 0, 0, 58]), frame.subarray(54)]);
  frame.writeUInt16BE(internetChecksum(pseudo), 56);
  return frame;
}

export const isAdvertisementOf =
  (who: Uint8Array) =>
  (frame: Buffer): boolean =>
    frame.readUInt16BE(12) === 0x86dd && frame[54] === 136 && frame.subarray(62, 78).equals(who);

/**
 * Two nodes of the sync session in virtual time: the production machine, driver and WebAssembly table, a lossy link.
 */
import { readFileSync } from 'node:fs';
import { SyncDriver } from '../../../src/sync/dialect/carpio/runner.ts';
import type { KeyLife } from '../../../src/sync/seal/key-chain.ts';
import { PairKeys, type PairSecret } from '../../../src/sync/seal/pair-keys.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';
import { loadEngine } from '../../../src/sync/table/engine.ts';
import type { Flow } from './ct-messages.ts';
import { ctMessage, STATUS, ToyKernel } from './ct-messages.ts';

const WASM = readFileSync(new URL('../../../build/engine.bench.wasm', import.meta.url));

/** A small seeded generator (mulberry32): the same seed, the same world. */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Link {
  up: boolean;
  loss: number;
  /** Milliseconds. */
  delay: number;
  jitter: number;
}

export interface Node {
  name: string;
  engine: Engine;
  driver: SyncDriver;
  kernel: ToyKernel;
  alive: boolean;
  events: string[];
}

export class SyncWorld {
  now = 1000;
  readonly link: Link = { up: true, loss: 0, delay: 0.2, jitter: 0 };
  readonly nodes: [Node, Node];
  readonly chance: () => number;
  /** Bytes that left either node. */
  bytes = 0;
  private readonly wire: { at: number; to: 0 | 1; datagram: Buffer }[] = [];
  /** The secrets that each node begins its next life with. */
  readonly secrets: [PairSecret[], PairSecret[]];
  private readonly keyLife: KeyLife | undefined;

  constructor(seed: number, secret: Buffer | null = Buffer.alloc(32, 7), keyLife?: KeyLife) {
    this.chance = random(seed);
    this.secrets = [[secret], [secret]];
    this.keyLife = keyLife;
    this.nodes = [this.boot(0, 'fw-a'), this.boot(1, 'fw-b')];
  }

  /** A node that has just started, with an empty kernel. */
  boot(index: 0 | 1, name: string): Node {
    const engine = loadEngine(WASM, { indexKey: this.nonce(), maxStates: 1 << 20, syncWhen: 'all' });
    const kernel = new ToyKernel();
    const events: string[] = [];
    const driver = new SyncDriver(
      engine,
      {
        ...{ name, mtu: 1500, keys: new PairKeys(this.secrets[index]) },
        ...(this.keyLife === undefined ? {} : { keyLife: this.keyLife }),
      },
      {
        transmit: (datagram) => this.transmit(index === 0 ? 1 : 0, datagram),
        flushKernel: () => {
          while (engine.kernelPending() > 0) {
            const length = engine.fillKernel();
            if (length === 0) return;
            kernel.apply(Buffer.from(engine.memory.buffer, engine.areas.kernel.offset, length));
          }
        },
        nonce: () => this.nonce().toString('hex'),
        notice: ({ kind, ...fields }) => events.push(`${kind} ${JSON.stringify(fields)}`),
        peerReport: () => {},
        peerName: () => {},
        auditAsked: () => {},
      },
    );
    return { name, engine, driver, kernel, alive: true, events };
  }

  restart(index: 0 | 1): Node {
    const node = this.boot(index, this.nodes[index].name);
    this.nodes[index] = node;
    return node;
  }

  role(index: 0 | 1, master: boolean): void {
    this.nodes[index].driver.setRole(master, Buffer.from(JSON.stringify({ master })), this.now);
  }

  /** The node's kernel reports a flow. */
  flow(index: 0 | 1, flow: Flow, kind: 'new' | 'destroy' = 'new'): void {
    const { engine, driver, kernel } = this.nodes[index];
    const bytes = ctMessage(flow, kind);
    const { offset } = engine.areas.netlink;
    new Uint8Array(engine.memory.buffer).set(bytes, offset);
    engine.takeEvents(offset, bytes.length);
    kernel.apply(Buffer.alloc(0));
    driver.flush(this.now);
  }

  /** The node's daemon, just started, reads what its kernel has kept. */
  dump(index: 0 | 1, flows: readonly Flow[]): void {
    const { engine, driver } = this.nodes[index];
    engine.dumpBegin(true);
    const { offset } = engine.areas.netlink;
    for (const flow of flows) {
      const bytes = ctMessage(flow, 'new');
      new Uint8Array(engine.memory.buffer).set(bytes, offset);
      engine.takeDump(offset, bytes.length);
    }
    while (engine.dumpEnd(4000) !== 0);
    driver.flush(this.now);
  }

  /** Lets virtual time pass. */
  run(ms: number, step = 1): void {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(until, this.now + step);
      this.deliver();
      for (const node of this.nodes) {
        if (!node.alive) continue;
        node.driver.advance(this.now);
      }
    }
  }

  /** Runs until `what` holds; false when it did not within `ms`. */
  until(what: () => boolean, ms = 10_000): boolean {
    for (let waited = 0; waited < ms; waited += 1) {
      if (what()) return true;
      this.run(1);
    }
    return what();
  }

  inStep(index: 0 | 1): boolean | null {
    return this.nodes[index].driver.inStep(this.now).inStep;
  }

  /** Both tables hold the same states with the same content, whoever owns them. */
  equal(): boolean {
    const [a, b] = this.nodes;
    const sums = [a, b].map(({ engine }) => {
      const [me, peer] = [engine.digest('own'), engine.digest('mirrored')];
      const sum = (BigInt(`0x${me.sum.toString('hex')}`) + BigInt(`0x${peer.sum.toString('hex')}`)) % (1n << 128n);
      return `${me.count + peer.count} ${sum}`;
    });
    return sums[0] === sums[1];
  }

  private nonce(): Buffer {
    return Buffer.from(Array.from({ length: 16 }, () => Math.floor(this.chance() * 256)));
  }

  private transmit(to: 0 | 1, datagram: Buffer): void {
    this.bytes += datagram.length;
    if (!this.link.up || this.chance() < this.link.loss) return;
    this.wire.push({ at: this.now + this.link.delay + this.chance() * this.link.jitter, to, datagram });
  }

  private deliver(): void {
    this.wire.sort((x, y) => x.at - y.at);
    while (this.wire.length > 0 && (this.wire[0]?.at ?? Number.POSITIVE_INFINITY) <= this.now) {
      const next = this.wire.shift();
      if (next === undefined || !this.link.up) continue;
      const node = this.nodes[next.to];
      if (node.alive) node.driver.receive(next.datagram, this.now);
    }
  }
}

/** A TCP connection through source NAT, by number. */
export function tcpFlow(n: number, status = STATUS.confirmed | STATUS.seenReply | STATUS.assured): Flow {
  return {
    proto: 6,
    src: `10.0.${(n >> 8) & 0xff}.${n & 0xff}`,
    dst: '198.51.100.80',
    sport: 1024 + (n % 60000),
    dport: 443,
    natSrc: '203.0.113.1',
    natSport: 1024 + (n % 64000),
    status,
    tcpState: 3,
  };
}

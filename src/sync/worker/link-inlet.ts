/** Takes the datagrams of the sync link: counts those with a wrong IP header, and hands the others to the driver. */
import type { SyncDriver } from '../dialect/carpio/runner.ts';
import type { Engine } from '../table/engine.ts';
import { type DataplaneIo, MOST_BATCHES } from './dataplane-io.ts';

const IPV4_LEAST = 20;

export class LinkInlet {
  /** The peer's address; null: not known yet. */
  peerAddress: string | null;
  /** When the last datagram of the peer's stream was applied, ms. */
  streamAt = Number.NEGATIVE_INFINITY;
  /** When the one before was. */
  private before = Number.NEGATIVE_INFINITY;
  private readonly engine: Engine;
  private readonly io: Pick<DataplaneIo, 'datagrams' | 'sender' | 'now'>;
  private readonly driver: SyncDriver;
  /** The configuration names the peer's address; then datagrams of others are refused. */
  private readonly named: boolean;

  constructor(
    engine: Engine,
    io: Pick<DataplaneIo, 'datagrams' | 'sender' | 'now'>,
    driver: SyncDriver,
    peer: string | null,
  ) {
    this.engine = engine;
    this.io = io;
    this.driver = driver;
    this.peerAddress = peer;
    this.named = peer !== null;
  }

  /** Takes what has come; `SyncDriver.advance` must follow. @returns how many datagrams it was */
  take(): number {
    let taken = 0;
    const { datagrams } = this.io;
    const before = this.driver.state.rxSeq;
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const result = datagrams.receive();
      if (result.kind !== 'messages') break;
      for (let i = 0; i < result.count; i++) this.takeOne(i);
      taken += result.count;
      if (result.count < datagrams.slots) break;
    }
    if (this.driver.state.rxSeq !== before) {
      this.before = this.streamAt;
      this.streamAt = this.io.now();
    }
    return taken;
  }

  /** A datagram of the peer's stream comes about every `ms`, so the next one will come within that time. */
  flowing(now: number, ms: number): boolean {
    return now - this.streamAt < ms && this.streamAt - this.before < 2 * ms;
  }

  // A raw IPv4 socket delivers the IP header too (raw(7)).
  private takeOne(slot: number): void {
    const { datagrams } = this.io;
    const length = datagrams.length(slot);
    const bytes = Buffer.from(this.engine.memory.buffer, datagrams.slotOffset(slot), length);
    const headerLength = length >= IPV4_LEAST ? (bytes.readUInt8(0) & 0x0f) * 4 : 0;
    if (headerLength < IPV4_LEAST || headerLength > length || datagrams.truncated(slot)) {
      this.driver.count('bad_length');
      return;
    }
    if (bytes.readUInt8(8) !== 255) {
      this.driver.count('bad_ttl');
      return;
    }
    const from = this.io.sender(slot);
    if (this.named && from !== this.peerAddress) {
      this.driver.count('bad_source');
      return;
    }
    const before = this.driver.state.peerNonce;
    this.driver.take(bytes.subarray(headerLength), this.io.now());
    if (!this.named && this.driver.state.peerNonce !== before) this.peerAddress = from;
  }
}

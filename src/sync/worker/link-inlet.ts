/** Datagrams of the sync link on their way in: what is wrong with their IP header is counted, the rest is the driver's. */

import type { SyncDriver } from '../dialect/carpio/runner.ts';
import type { Engine } from '../table/engine.ts';
import { type DataplaneIo, MOST_BATCHES } from './dataplane-io.ts';

const IPV4_LEAST = 20;

export class LinkInlet {
  /** Where the peer is; null: not known yet. */
  peerAddress: string | null;
  /** When the peer's stream last went on, ms. */
  streamAt = Number.NEGATIVE_INFINITY;
  /** And the time before. */
  private before = Number.NEGATIVE_INFINITY;
  private readonly engine: Engine;
  private readonly io: Pick<DataplaneIo, 'datagrams' | 'sender' | 'now'>;
  private readonly driver: SyncDriver;
  /** The configuration names it; then nobody else is heard. */
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

  /** Takes what has come; `SyncDriver.advance` must follow. Returns how many datagrams it was. */
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

  /** The peer's stream goes on about every `ms`: the next datagram is to be expected within it. */
  flowing(now: number, ms: number): boolean {
    return now - this.streamAt < ms && this.streamAt - this.before < 2 * ms;
  }

  // A raw IPv4 socket hands over the IP header too (raw(7)).
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

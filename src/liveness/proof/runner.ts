/** Proves this node's advertisements and judges those of others (liveness/proof/machine.ts), on the real clock. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contract/clock.ts';
import { REAL_CLOCK } from '../../contract/clock.ts';
import { sameAddress } from '../../net/ip.ts';
import type { Provable } from './counter.ts';
import { proofKey } from './counter.ts';
import type { ProofMemory, ProofNote, ProofState } from './machine.ts';
import {
  createProof,
  hearNote,
  judgeAdvert,
  proofMemory,
  proofNote,
  proveAdvert,
  reserveMore,
  setProofKeys,
} from './machine.ts';

/** So many of the peer's numbers may be taken before the last one is written down. */
const WRITE_EVERY = 256;

interface ProofPorts {
  read(): ProofMemory | null;
  write(memory: ProofMemory): Promise<void>;
  /** From now on the peer's advertisements must prove themselves, or need not any more. */
  changed(proving: boolean): void;
}

/** `plain`: it proves nothing, and nothing can be asked of it. Else why it is refused, by the name of the counter. */
type AdvertVerdict = 'proven' | 'plain' | 'unproven' | 'stranger';

export class AdvertProof {
  private readonly ports: ProofPorts;
  private readonly clock: Clock;
  private readonly state: ProofState;
  /** The only other hosts that may speak without a proof; empty: anybody, while the peer proves nothing. */
  private others: readonly string[] = [];
  private written = 0;
  private proving: boolean;

  constructor(ports: ProofPorts, clock: Clock = REAL_CLOCK) {
    this.ports = ports;
    this.clock = clock;
    this.state = createProof(ports.read(), fresh());
    this.proving = this.state.peer !== null;
  }

  /** Numbers are set aside on the disk. To be awaited before the first advertisement. */
  begin(): Promise<void> {
    return this.ports.write(proofMemory(this.state));
  }

  setSecrets(secrets: readonly Uint8Array[]): void {
    setProofKeys(this.state, secrets.map(proofKey), this.clock.nowUs());
  }

  setOthers(addresses: readonly string[]): void {
    this.others = addresses;
  }

  prove(advert: Provable): bigint | null {
    const counter = proveAdvert(this.state, advert);
    if (counter !== null && reserveMore(this.state)) this.keep();
    return counter;
  }

  note(): ProofNote | null {
    return proofNote(this.state);
  }

  /** @param note what the peer says over the sealed link; null: nothing about proofs */
  onReport(note: ProofNote | null): void {
    if (this.state.signing === null) return;
    if (hearNote(this.state, note, fresh(), this.clock.nowUs())) this.keep();
    const proving = this.state.peer !== null;
    if (proving !== this.proving) this.ports.changed(proving);
    this.proving = proving;
  }

  judge(key: string, advert: Provable & { counter: bigint }): AdvertVerdict {
    const verdict = judgeAdvert(this.state, key, advert, this.clock.nowUs());
    if (verdict === 'proven') {
      this.written += 1;
      if (this.written % WRITE_EVERY === 0) this.keep();
      return verdict;
    }
    if (this.others.some((other) => sameAddress(other, advert.source))) return 'plain';
    if (verdict === 'unproven') return verdict;
    return this.others.length > 0 ? 'stranger' : 'plain';
  }

  close(): Promise<void> {
    return this.ports.write(proofMemory(this.state));
  }

  private keep(): void {
    void this.ports.write(proofMemory(this.state));
  }
}

const fresh = (): string => randomBytes(16).toString('hex');

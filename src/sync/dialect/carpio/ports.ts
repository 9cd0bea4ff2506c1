/** The configuration of the driver (runner.ts), and what it needs of the world around it. */
import type { AeadMaker } from '../../../contract/aead.ts';
import type { SyncNotice } from '../../../contract/sync-notice.ts';
import type { TapMaker } from '../../../contract/tap.ts';
import type { KeyLife } from '../../seal/key-chain.ts';
import type { PairKeys } from '../../seal/pair-keys.ts';

export interface DriverConfig {
  /** Name of this node: the tie-break between equals, and what the peer shows. */
  name: string;
  /** The pair's secret, or the secrets while it is being changed. */
  keys: PairKeys;
  /** How long a key of a session is used; KEY_LIFE when left out. */
  keyLife?: KeyLife;
  /** Largest IP packet on the sync link, bytes. */
  mtu: number;
  /** What seals the datagrams of a session; Node's own ciphers when left out. */
  aead?: AeadMaker;
}

export interface DriverPorts {
  transmit(datagram: Buffer): void;
  /** Gives the queued changes to the kernel and reads its refusals, until the queue is empty. */
  flushKernel(): void;
  /** 32 hex digits, never the same. */
  nonce(): string;
  notice(notice: SyncNotice): void;
  peerReport(content: Buffer): void;
  /** The peer's name, when a session begins. */
  peerName(name: string): void;
  /** The peer asks for an audit of this node's kernel; `auditDone` answers with the corrections. */
  auditAsked(): void;
  /** For a recording of what enters the session machine. */
  taps?: TapMaker | null;
  /** The peer has an expectation (wire/expectation.ts). */
  expectation?(content: Buffer): void;
}

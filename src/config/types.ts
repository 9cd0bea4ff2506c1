/**
 * The configuration as the rest of Carpio uses it: the file's keys by the file's names, defaults filled in, addresses
 * in canonical text, secrets read and wrapped.
 */

import type { RawConfig } from './schema.ts';
import type { Secret } from './secret.ts';

type NodeConfig = RawConfig['node'];
type CarpConfig = RawConfig['carp'];
type FirewallConfig = NonNullable<RawConfig['firewall']> & {
  /** Rules of the peer that are in force instead of the file; `directory` is where relative includes are looked for. */
  replicated?: { text: string; from: string; directory: string };
};
type ReplicateConfig = NonNullable<RawConfig['replicate']>;
type ServiceConfig = RawConfig['service'];
type HooksConfig = NonNullable<RawConfig['hooks']>;
export type SyncWhen = NonNullable<RawConfig['sync']>['sync_when'];

/** `password`: 0 to 20 bytes, from `password` or `password_file`; as they are, not yet padded to CARP's 20 byte key. */
export type VipConfig = Omit<RawConfig['vip'][number], 'password'> & { password: Secret };

export type TrackConfig =
  | { kind: 'link'; name: string; weight: number; interface: string }
  | { kind: 'script'; name: string; weight: number; path: string; interval: number; timeout: number }
  | { kind: 'file'; name: string; weight: number; path: string; interval: number };

/** `key`: the pair's shared secret, at least 16 bytes; `null`: sync is open. `keyOld`: one that is taken too. */
export type SyncConfig = NonNullable<RawConfig['sync']> & { key: Secret | null; keyOld: Secret | null };

export type FeedConfig = NonNullable<RawConfig['feed']> & { token: Secret | null };

export interface Config {
  node: NodeConfig;
  /** Role to device. */
  interfaces: Record<string, string>;
  carp: CarpConfig;
  vip: VipConfig[];
  track: TrackConfig[];
  /** `null`: the file has no such section, and that part of Carpio stays off. */
  sync: SyncConfig | null;
  firewall: FirewallConfig | null;
  replicate: ReplicateConfig | null;
  feed: FeedConfig | null;
  hooks: HooksConfig | null;
  service: ServiceConfig;
}

/** What state sync reports to the log, the feed and the hooks. Each notice is an event of the node as it stands. */

export type SyncNotice =
  | { kind: 'sync.session'; up: true }
  | { kind: 'sync.peer'; alive: true }
  | { kind: 'sync.peer'; alive: false; reason: string }
  /** This node owns so many states now that it did not own before. */
  | { kind: 'sync.adopt'; states: number; reason: string }
  /** The digests differ; so many states are mirrored here. */
  | { kind: 'sync.mismatch'; count: number }
  | { kind: 'sync.repaired'; differences: number; bytes: number; ms: number }
  /**
   * The pair's key. `differs`: both have it in common still, under another one that only one has; `other`: no key in
   * common; `expired`: nobody came over to the new one.
   */
  | { kind: 'sync.key'; state: 'same' | 'differs' | 'other' | 'expired'; reason: string | null }
  | { kind: 'sync.defer'; on: boolean; reason: string | null }
  /** The kernel has dropped events; so many times since the start. */
  | { kind: 'sync.overrun'; overruns: number }
  /** The sync link's device takes no packet of that size, though `[sync] mtu` says so. */
  | { kind: 'sync.too_long'; bytes: number; mtu: number; device: string };

/** What concerns the pair's key. */
export type KeyNotice = Omit<Extract<SyncNotice, { kind: 'sync.key' }>, 'kind'>;

/** What the state engine counts: the names, in the order of its memory. */

/** Order of the counters in the module's memory (asm/memory.ts). */
export const COUNTER_NAMES = [
  'events_state',
  'events_destroy',
  'own_echo',
  'bad_netlink',
  'ignored',
  'not_eligible',
  'unsupported',
  'labels_ignored',
  'claims',
  'mirror_lost',
  'mirror_drift',
  'dump_gone',
  'table_full',
  'no_memory',
  'evicted',
  'inserts',
  'deletes',
  'rx_records',
  'bad_record',
  'conflicts',
  'late_taken',
  'rx_ignored',
  'tx_records',
  'tx_bulk_records',
  'kernel_create',
  'kernel_update',
  'kernel_delete',
  'kernel_refused',
  'refused_enomem',
  'refused_einval',
  'refused_eexist',
  'refused_other',
  'kernel_recreate',
  'kernel_gone',
  'adoptions',
  'gives',
  'sweep_forced',
  'unknown_reply',
  'bulk_dropped',
  'unclaimed_dropped',
  'corrections',
  'dirty_forgotten',
  'repair_dropped',
  'repair_claimed',
  'repair_wanted',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];

export const COUNTER_PLACES = Object.fromEntries(COUNTER_NAMES.map((name, i) => [name, i])) as Record<
  CounterName,
  number
>;

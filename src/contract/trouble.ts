/**
 * What is wrong now: one entry for each trouble that is open, in status, feed, page, metrics and `carpio status
 * --check`. Names (`what`) are stable: alerts are built on them.
 */

import type { DiagnosisName } from './events.ts';

export type Severity = 'error' | 'warning';

export interface Trouble {
  what: string;
  /** A role, a vhid (`vhid 1 on wan`), the sync link, a node. */
  where: string;
  /** ISO time at which it was noticed. */
  since: string;
  severity: Severity;
  /** One sentence. */
  text: string;
  /** What to do. */
  mend: string;
}

/** How bad each finding of the diagnosis is. */
export const DIAGNOSIS_SEVERITY: Readonly<Record<DiagnosisName, Severity>> = {
  password: 'error',
  address_list: 'error',
  missing_vhid: 'error',
  duplicate_address: 'error',
  foreign_user: 'warning',
  own_packets: 'warning',
  virtual_mac: 'warning',
};

/** Worst first, then the oldest. */
export function byUrgency(a: Trouble, b: Trouble): number {
  if (a.severity !== b.severity) return a.severity === 'error' ? -1 : 1;
  return a.since < b.since ? -1 : 1;
}

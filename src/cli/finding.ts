/** One line of `carpio check`. */

export type Level = 'ok' | 'warning' | 'error';

export interface Finding {
  level: Level;
  /** What was looked at: `conntrack events`, `wan (eth0)`. */
  topic: string;
  found: string;
  /** How to mend it; `null` when there is nothing to do. */
  mend: string | null;
}

export const ok = (topic: string, found: string): Finding => ({ level: 'ok', topic, found, mend: null });

export const warning = (topic: string, found: string, mend: string | null): Finding => ({
  level: 'warning',
  topic,
  found,
  mend,
});

export const error = (topic: string, found: string, mend: string | null): Finding => ({
  level: 'error',
  topic,
  found,
  mend,
});

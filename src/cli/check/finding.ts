/** One line of `carpio check`. */

export type Level = 'ok' | 'warning' | 'error';

/** What `--fix` may do about a finding: nothing that could open a firewall or cut a connection. */
export type Fix =
  | { kind: 'sysctl'; name: string; value: number }
  | { kind: 'mode'; path: string; mode: number }
  | { kind: 'modules'; names: readonly string[] };

export interface Finding {
  level: Level;
  /** What was looked at: `conntrack events`, `wan (eth0)`. */
  topic: string;
  found: string;
  /** How to mend it; `null` when there is nothing to do. */
  mend: string | null;
  /** The setting, file or node that it is about; `null`: this machine as a whole. */
  where: string | null;
  fix: Fix | null;
}

type More = Partial<Pick<Finding, 'where' | 'fix'>>;

const finding = (level: Level, topic: string, found: string, mend: string | null, more: More = {}): Finding => ({
  level,
  topic,
  found,
  mend,
  where: null,
  fix: null,
  ...more,
});

export const ok = (topic: string, found: string, more?: More): Finding => finding('ok', topic, found, null, more);

export const warning = (topic: string, found: string, mend: string | null, more?: More): Finding =>
  finding('warning', topic, found, mend, more);

export const error = (topic: string, found: string, mend: string | null, more?: More): Finding =>
  finding('error', topic, found, mend, more);

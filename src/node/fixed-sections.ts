/** What a reload cannot change while the node runs: it is said, not silently left out. Pure. */
import type { Config } from '../config/types.ts';

/** The sections whose change needs a restart, as the file names them. Secrets compare by content. */
export function fixedSections(before: Config, after: Config): string[] {
  const changed: string[] = [];
  const differs = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);
  if (differs(before.node, after.node)) changed.push('[node]');
  if (differs(before.interfaces, after.interfaces)) changed.push('[interfaces]');
  // From one pair key to another while the node runs: pair-key.ts.
  const sealed = Boolean(before.sync?.key) === Boolean(after.sync?.key);
  if (differs(withoutKey(before.sync), withoutKey(after.sync)) || !sealed) changed.push('[sync]');
  if (differs(before.feed, after.feed) || !sameSecret(before.feed?.token, after.feed?.token)) changed.push('[feed]');
  if (differs(before.replicate?.from, after.replicate?.from)) changed.push('[replicate]');
  if (differs(before.hooks, after.hooks)) changed.push('[hooks]');
  if (differs(before.service, after.service)) changed.push('[service]');
  return changed;
}

function withoutKey(sync: Config['sync']): object | null {
  if (sync === null) return null;
  const { key, keyOld, key_file, key_file_old, ...rest } = sync;
  return rest;
}

type MaybeSecret = NonNullable<Config['sync']>['key'] | undefined;

function sameSecret(a: MaybeSecret, b: MaybeSecret): boolean {
  if (!a || !b) return !a === !b;
  return a.equals(b);
}

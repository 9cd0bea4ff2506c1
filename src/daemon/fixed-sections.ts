/** What a reload cannot change while the node runs: it is said, not silently left out. Pure. */
import type { Config } from '../config/types.ts';

/** The sections whose change needs a restart, as the file names them. Secrets compare by content. */
export function fixedSections(before: Config, after: Config): string[] {
  const changed: string[] = [];
  const differs = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);
  if (differs(before.node, after.node)) changed.push('[node]');
  if (differs(before.interfaces, after.interfaces)) changed.push('[interfaces]');
  const keys = sameSecret(before.sync?.key, after.sync?.key) && sameSecret(before.sync?.keyOld, after.sync?.keyOld);
  if (differs(before.sync, after.sync) || !keys) changed.push('[sync]');
  if (differs(before.feed, after.feed) || !sameSecret(before.feed?.token, after.feed?.token)) changed.push('[feed]');
  if (differs(before.replicate?.from, after.replicate?.from)) changed.push('[replicate]');
  if (differs(before.hooks, after.hooks)) changed.push('[hooks]');
  if (differs(before.service, after.service)) changed.push('[service]');
  return changed;
}

type MaybeSecret = NonNullable<Config['sync']>['key'] | undefined;

function sameSecret(a: MaybeSecret, b: MaybeSecret): boolean {
  if (!a || !b) return !a === !b;
  return a.equals(b);
}

/** What a push would change on the replica, in words. Pure. */
import { type Change, describeChanges, diffEntries } from './diff.ts';
import { type Entries, entriesHash, maskEntries, schemaKey } from './document.ts';
import type { PlanAnswer } from './messages.ts';

export interface Plan {
  peer: string;
  /** Both hold the same. */
  same: boolean;
  /** Of this node's files, which say something else than what it has loaded: a reload comes before a push. */
  files: boolean;
  /** The differing keys, as lines. */
  lines: string[];
  /** What a push would do, as lines. */
  effects: string[];
  /** Why it would be refused; empty: it would not. */
  errors: string[];
  unknown: string[];
  unshared: string[];
  vhids: string[];
}

/**
 * @param entries what this node would push
 * @param loaded the hash of what it has loaded
 * @param answer what the replica holds, and what it says to these entries
 * @param key of the pair: hides secrets in what is shown
 */
export function makePlan(peer: string, entries: Entries, loaded: string, answer: PlanAnswer, key: Uint8Array): Plan {
  const changes = diffEntries(answer.entries, maskEntries(entries, key));
  const hash = entriesHash(entries, key);
  return {
    peer,
    same: changes.length === 0 && answer.errors.length === 0 && answer.hash === hash,
    files: hash !== loaded,
    lines: describeChanges(changes),
    errors: answer.errors,
    unknown: answer.unknown,
    unshared: answer.unshared,
    ...effectsOf(changes, answer, peer),
  };
}

function effectsOf(
  changes: readonly Change[],
  { roles, notes, unknown, unshared }: PlanAnswer,
  peer: string,
): { vhids: string[]; effects: string[] } {
  const vhids = [...new Set(changes.flatMap(({ key }) => /^vip\[(.*)\]\./.exec(key)?.[1] ?? []))].sort();
  const effects = vhids.map((vip) => {
    const own = changes.filter(({ key }) => key.startsWith(`vip[${vip}].`));
    const role = roles[vip];
    if (own.every(({ kind }) => kind === 'added')) return `vhid ${vip}: new on ${peer}, as backup`;
    if (own.every(({ kind }) => kind === 'removed')) {
      return `vhid ${vip}: leaves ${peer}${role === 'MASTER' ? ', which is MASTER of it: its addresses go' : ''}`;
    }
    const keys = own.map(({ key }) => schemaKey(key).slice('vip.'.length)).join(', ');
    return `vhid ${vip}: ${keys} changed, ${peer} stays ${role ?? 'what it is'}`;
  });
  if (changes.some(({ key }) => key === 'firewall.rules'))
    effects.push('rules: loaded in one transaction, checked there');
  if (changes.some(({ key }) => key === 'carp.preempt'))
    effects.push('carp.preempt: may move the role at the next failure');
  effects.push(...notes);
  effects.push(...unknown.map((key) => `${key}: ${peer} does not know it; it keeps it and does nothing with it`));
  effects.push(...unshared.map((key) => `${key}: not shared by this node's version, ${peer} keeps its own`));
  return { vhids, effects };
}

/** `carpio replicate` for people. Pure. */

import type { ReplicateStatus } from '../contract/status.ts';
import { clean } from '../contract/text.ts';
import type { Plan } from '../replicate/plan.ts';
import type { PushResult } from '../replicate/source.ts';
import { duration, type Paint, table } from './text.ts';

/** Lines of a rule set that `carpio status` shows; `carpio replicate status` shows all. */
const FEW = 3;

function diffLine(line: string, paint: Paint): string {
  const text = clean(line);
  if (/^\s*-|: removed/.test(text)) return paint('red', text);
  return /^\s*\+|: new/.test(text) ? paint('green', text) : text;
}

/** The plan is of the files, the push of what runs. */
const RELOAD =
  'the files here are not loaded yet: a reload (systemctl reload carpio) takes them over here, then they can be pushed';

const block = (title: string, lines: readonly string[], paint: Paint): string[] =>
  lines.length === 0 ? [] : ['', paint('bold', title), ...lines.map((line) => `  ${diffLine(line, paint)}`)];

const joined = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

export function planText(plan: Plan, paint: Paint): string {
  const peer = clean(plan.peer);
  const files = plan.files ? block('first', [RELOAD], paint) : [];
  if (plan.errors.length > 0) {
    return joined([
      paint('red', `${peer} would refuse:`),
      ...plan.errors.map((error) => `  ${clean(error)}`),
      ...block('what differs', plan.lines, paint),
      ...files,
    ]);
  }
  if (plan.lines.length === 0)
    return joined([`${peer} holds the same; nothing to push`, ...block('but', plan.effects, paint), ...files]);
  return joined([
    `${peer} would take this; its rules were checked by its own kernel`,
    ...block('what changes there', plan.lines, paint),
    ...block('what that does', plan.effects, paint),
    ...files,
  ]);
}

export function pushText(result: PushResult, paint: Paint): string {
  const word = result.done ? paint('green', 'done') : paint('red', 'not done');
  return joined([`${word}: ${clean(result.reason)} (${duration(result.ms)})`]);
}

/** One line for `carpio status`. */
export function replicateLine(status: ReplicateStatus, paint: Paint): string {
  const drift = [...status.drift, ...status.peer_drift.map((line) => `peer: ${line}`)];
  const word =
    status.same === null
      ? paint('yellow', 'not known')
      : status.same
        ? paint('green', 'the same')
        : paint('red', 'NOT the same');
  const why = status.reason === null ? '' : `: ${clean(status.reason)}`;
  const hand =
    drift.length === 0 ? '' : `; ${paint('red', 'changed by hand')}: ${drift.slice(0, FEW).map(clean).join(' | ')}`;
  const unknown =
    status.unknown.length === 0 ? '' : `; unknown to the replica: ${status.unknown.map(clean).join(', ')}`;
  return `${word}${why}, ${status.role === 'source' ? 'this node is the source' : `from ${clean(status.from)}`}${hand}${unknown}`;
}

export function replicateText(status: ReplicateStatus, paint: Paint): string {
  const rows: [string, string][] = [
    ['shared', replicateLine({ ...status, drift: [], peer_drift: [] }, paint)],
    [
      'push',
      status.role === 'replica'
        ? 'comes from the source'
        : status.auto
          ? 'by itself after a reload'
          : 'only when asked for',
    ],
  ];
  if (status.checked_ms_ago !== null) rows.push(['compared', `${duration(status.checked_ms_ago)} ago`]);
  if (status.pending) rows.push(['pending', 'a push is under way or waits for its confirmation']);
  if (status.last !== null) {
    const { done, reason, time, ms } = status.last;
    rows.push([
      'last push',
      `${time}, ${done ? 'done' : paint('red', 'not done')}: ${clean(reason)} (${duration(ms)})`,
    ]);
  }
  return joined([
    ...table(rows),
    ...block('what differs', status.differs, paint),
    ...block('changed by hand here', status.drift, paint),
    ...block('changed by hand on the peer', status.peer_drift, paint),
    ...block('kept without effect, unknown to the version of the replica', status.unknown, paint),
    ...block("not shared by the source's version", status.unshared, paint),
    ...block("this node's own file says otherwise, which does not count", status.own_file, paint),
  ]);
}

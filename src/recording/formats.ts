/**
 * The formats of recordings. A recording of an earlier version is read as if today's had made it: only the names differ
 * that the session machine had for its states, events and actions. Pure.
 */
import type { MachineName } from '../contract/tap.ts';
import type { AdoptCause } from '../sync/session/state.ts';

/** What the head of a new file says. */
export const RECORD_FORMAT = 2;
export const RECORD_FORMATS: readonly number[] = [1, 2];

/** A step (`in`, `out`) or a whole state of one machine (contract/tap.ts). */
export interface Line {
  m: MachineName;
  i: number;
  at: number;
  state?: unknown;
  in?: unknown;
  out?: unknown[];
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names of format 1 become today's; what has today's names already stays as it is. */
export function upgraded(line: Line): Line {
  if (line.m === 'probe') return upgradedProbe(line);
  if (line.m !== 'sync') return line;
  if (line.state !== undefined) return { ...line, state: upgradedState(line.state) };
  return {
    ...line,
    in: upgradedInput(line.in),
    ...(line.out === undefined ? {} : { out: line.out.map(upgradedAction) }),
  };
}

/** Before the gate, a probe's round trip was not measured, and a verdict waited for nothing. */
function upgradedProbe(line: Line): Line {
  const { state, in: input } = line;
  if (isFields(state) && isFields(state.paths)) {
    const paths = Object.entries(state.paths).map(([name, path]) => [name, { tripsUs: [], ...(path as Fields) }]);
    const round = isFields(state.round) ? { notBeforeUs: state.round.sinceUs, ...state.round } : state.round;
    return { ...line, state: { ...state, paths: Object.fromEntries(paths), round } };
  }
  if (!isFields(input) || !isFields(input.event) || input.event.type !== 'answer') return line;
  return { ...line, in: { ...input, event: { tripUs: 0, ...input.event } } };
}

function upgradedState(state: unknown): unknown {
  if (!isFields(state) || !('mine' in state)) return state;
  const { mine, theirs, repairIn, repairOut, ...rest } = state;
  return {
    ...rest,
    ownCompared: mine,
    mirroredCompared: theirs,
    repairIn: picked(repairIn, REPAIR_IN),
    repairOut: picked(repairOut, REPAIR_OUT),
  };
}

/** What a repair keeps in each phase; in format 1 it kept all of it in every phase. */
const REPAIR_IN: Readonly<Record<string, readonly string[]>> = {
  asked: ['id', 'phase', 'since', 'progressAt'],
  reading: ['id', 'phase', 'since', 'progressAt', 'received', 'expected', 'most'],
  applying: ['id', 'phase', 'since', 'progressAt', 'differences'],
  proving: ['id', 'phase', 'since', 'progressAt', 'differences'],
};
const REPAIR_OUT: Readonly<Record<string, readonly string[]>> = {
  asked: ['id', 'phase', 'progressAt'],
  open: ['id', 'phase', 'progressAt', 'expected', 'wanted'],
  marking: ['id', 'phase', 'progressAt'],
};

function picked(repair: unknown, kept: Readonly<Record<string, readonly string[]>>): unknown {
  const names = isFields(repair) ? kept[String(repair.phase)] : undefined;
  if (!isFields(repair) || names === undefined) return repair;
  return Object.fromEntries(names.map((name) => [name, repair[name]]));
}

function upgradedInput(input: unknown): unknown {
  if (!isFields(input) || !isFields(input.event) || input.event.type !== 'recon') return input;
  return { ...input, event: { ...input.event, type: 'repairMessage' } };
}

function upgradedAction(action: unknown): unknown {
  if (!isFields(action)) return action;
  if (action.type === 'yieldOwn') return { type: 'yieldOwn' };
  if (action.type !== 'event' || !isFields(action.fields)) return action;
  return { type: 'event', event: { kind: action.kind, ...upgradedFields(action.fields) } };
}

const ADOPTED: Readonly<Record<string, AdoptCause>> = {
  'master, and the peer is gone': 'peerGone',
  'master, and the peer is not': 'peerNotMaster',
  'master, and the peer has started anew': 'peerStartedAgain',
  'the peer has started anew, and knows none of them': 'peerKnowsNone',
  'both are master, and the peer knows none of them': 'bothMaster',
};

/** Format 1 had a reason in words. */
function upgradedFields({ reason, ...rest }: Fields): Fields {
  if (typeof reason !== 'string') return rest;
  const silent = /^nothing heard on the sync link for (\d+) ms$/.exec(reason);
  if (silent !== null) return { ...rest, silentMs: Number(silent[1]) };
  return { ...rest, cause: ADOPTED[reason] ?? reason };
}

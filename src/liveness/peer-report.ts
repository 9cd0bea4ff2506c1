/**
 * What the nodes tell each other about themselves over the sync link, twenty times a second and at every change:
 * JSON, so that versions can add to it. What arrives is checked like anything from a network.
 */
import { z } from 'zod';
import { nodeRole, peerReport } from '../carp/report.ts';
import type { GroupState, PeerReport, PeerVhid } from '../carp/types.ts';
import type { NodeRole } from '../contract/values.ts';
import type { ProofNote } from './proof/machine.ts';

const MAX_VHIDS = 1024;
const timer = z.number().int().min(0).max(255);

const vhidSchema = z.object({
  state: z.enum(['INIT', 'BACKUP', 'MASTER']),
  advbase: timer,
  advskew: timer,
  address: z.string().max(64).optional(),
});

const sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const epoch = z.string().regex(/^[0-9a-f]{32}$/);
const noteSchema = z.object({ epoch, sequence, heard: z.object({ epoch, sequence }).optional() });

const reportSchema = z.object({
  master: z.boolean(),
  role: z.enum(['master', 'backup', 'mixed', 'init']),
  version: z.string().max(64),
  vhids: z.record(z.string().max(64), vhidSchema).refine((all) => Object.keys(all).length <= MAX_VHIDS),
  demotion: z.number().int(),
  goingDown: z.boolean(),
  linkDown: z.array(z.string().max(64)).max(MAX_VHIDS),
  inStep: z.boolean().nullable(),
  own: z.record(z.string().max(64), z.array(z.string().max(64)).max(8)).optional(),
  lists: z.record(z.string().max(64), z.array(z.string().max(64)).max(256)).optional(),
  channel: z.string().max(64).optional(),
  open: z.array(z.string().max(64)).max(MAX_VHIDS).optional(),
  proof: noteSchema.optional(),
});

export interface ReceivedReport {
  role: NodeRole;
  version: string;
  report: PeerReport;
  /** The peer's own addresses, by role: where its advertisements come from and where it can be asked. */
  own: Record<string, string[]>;
  /** Its virtual addresses, by key of the vhid; null: it did not tell. */
  lists: Record<string, string[]> | null;
  /** Where its peer channel listens; null: it has none. */
  channel: string | null;
  /** Keys of the vhids whose gate is open there. */
  open: string[];
  /** How it proves its advertisements; null: it does not. */
  proof: ProofNote | null;
}

export function masterOfAny(state: GroupState): boolean {
  return Object.values(state.vhids).some((v) => v.state === 'MASTER');
}

/** What a node tells beyond its election: see ReceivedReport. */
export interface ReportExtras {
  inStep: boolean | null;
  version: string;
  own: Record<string, string[]>;
  lists: Record<string, string[]>;
  channel?: string;
  /** Keys of the vhids whose gate is open. */
  open: string[];
  proof?: ProofNote;
}

/** This node's report, as text. */
export function makeReport(state: GroupState, extras: ReportExtras): string {
  return JSON.stringify({ ...peerReport(state), ...extras, role: nodeRole(state), master: masterOfAny(state) });
}

/** `null`: not a report that this version understands. */
export function readReport(text: string): ReceivedReport | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = reportSchema.safeParse(value);
  if (!parsed.success) return null;
  const { role, version, vhids, demotion, goingDown, linkDown, inStep, own, lists, channel, open, proof } = parsed.data;
  const checked: Record<string, PeerVhid> = {};
  for (const [key, { address, ...vhid }] of Object.entries(vhids)) {
    checked[key] = address === undefined ? vhid : { ...vhid, address };
  }
  return {
    role,
    version,
    report: { vhids: checked, demotion, goingDown, linkDown, inStep },
    own: own ?? {},
    lists: lists ?? null,
    channel: channel ?? null,
    // An older version has no gate: what it is MASTER of, it holds.
    open: open ?? Object.keys(checked).filter((key) => checked[key]?.state === 'MASTER'),
    proof: proof === undefined ? null : noteOf(proof),
  };
}

function noteOf({ heard, ...note }: z.output<typeof noteSchema>): ProofNote {
  return heard === undefined ? note : { ...note, heard };
}

/**
 * What the two nodes say to each other about their shared configuration, checked like anything from a network. Pure.
 */
import { z } from 'zod';
import type { PeerChannel } from '../channel/channel.ts';
import type { Json } from '../contract/values.ts';
import { MAX_SHARED_RULES } from './document.ts';

const MAX_ENTRIES = 20_000;
const name = z.string().min(1).max(64);
const hash = z.string().regex(/^[0-9a-f]{32}$/);
const lines = z.array(z.string().max(2048)).max(400);

/** One level of lists is all that a shared value has; deeper ones of a later version are its own to mend. */
const plain = z.union([z.null(), z.boolean(), z.number(), z.string().max(MAX_SHARED_RULES)]);
const value = z.union([plain, z.array(plain).max(4096), z.record(z.string().max(64), plain)]) as z.ZodType<Json>;

const entriesSchema = z
  .record(z.string().min(1).max(256), value)
  .refine((entries) => Object.keys(entries).length <= MAX_ENTRIES, `more than ${MAX_ENTRIES} keys`);

export const documentSchema = z.object({
  format: z.number().int(),
  node: name,
  version: name,
  shares: z.array(name).max(1024),
  entries: entriesSchema,
});

export const REPLICATE_CALLS = {
  state: 'replicate.state',
  plan: 'replicate.plan',
  apply: 'replicate.apply',
  confirm: 'replicate.confirm',
  abort: 'replicate.abort',
  rules: 'replicate.rules',
} as const;

/** From source to replica, every few seconds and at each change. */
export const stateCall = z.object({
  format: z.number().int(),
  hash,
  /** What the source's kernel holds that its configuration does not say. */
  drift: lines,
  /** What differs between the two configurations, as the source sees it; null: not known. */
  differs: lines.nullable(),
  reason: z.string().max(512).nullable(),
});
export type StateCall = z.output<typeof stateCall>;

export const stateAnswer = z.object({
  hash,
  drift: lines,
  unknown: lines,
  unshared: lines,
  /** Waiting for a confirmation. */
  pending: z.boolean(),
  version: name,
});
export type StateAnswer = z.output<typeof stateAnswer>;

export const planCall = z.object({ document: documentSchema });
export const planAnswer = z.object({
  /** Why it cannot be applied; empty: it can. */
  errors: lines,
  /** The entries in force, pass phrases as tags. */
  entries: entriesSchema,
  hash,
  /** What the replica's would be; null when it cannot be applied. */
  wanted: hash.nullable(),
  unknown: lines,
  unshared: lines,
  notes: lines,
  /** Roles by virtual IP: `wan/1` -> BACKUP. */
  roles: z.record(z.string().max(64), z.enum(['INIT', 'BACKUP', 'MASTER'])),
});
export type PlanAnswer = z.output<typeof planAnswer>;

export const applyCall = z.object({
  id: name,
  document: documentSchema,
  confirm_ms: z.number().int().min(1000).max(60_000),
});
export const applyAnswer = z.object({
  hash,
  /** What the kernel holds of the rules: hash of its canonical lines. */
  rules: z.string().max(64),
  nft: z.string().max(64),
  /** What of the addresses is not as it should be. */
  addresses: lines,
  roles_changed: lines,
  unknown: lines,
});
export type ApplyAnswer = z.output<typeof applyAnswer>;

export const confirmCall = z.object({ id: name });
export const abortCall = z.object({ id: name, reason: z.string().max(512) });
export const rulesAnswer = z.object({ lines: z.array(z.string().max(16_384)).max(200_000) });

/** @throws Error with the first thing that is not as expected */
export function checkedBody<T>(schema: z.ZodType<T>, body: Json, what: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${what}: ${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not as expected'}`);
}

/**
 * Asks the peer, and checks what it answers. @throws CallError, or Error with the first thing that is not as expected
 */
export async function callChecked<T>(
  channel: PeerChannel,
  name: string,
  body: unknown,
  ms: number,
  schema: z.ZodType<T>,
): Promise<T> {
  return checkedBody(schema, await channel.call(name, body as Json, ms), `answer to ${name}`);
}

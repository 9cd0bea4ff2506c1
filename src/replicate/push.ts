/**
 * One push, as a transaction on the replica: it applies, reads back from its kernel and answers; what it holds is
 * compared here, and only then confirmed. Without a confirmation in time it goes back to what it had, whatever broke.
 */
import { randomBytes } from 'node:crypto';
import { CallError } from '../channel/calls.ts';
import type { PeerChannel } from '../channel/channel.ts';
import { messageOf } from '../contract/message-of.ts';
import type { Json } from '../contract/values.ts';
import { diffLines } from './diff.ts';
import { type ApplyAnswer, applyAnswer, REPLICATE_CALLS as CALLS, callChecked, rulesAnswer } from './messages.ts';
import { type KernelTruth, rulesHash } from './truth.ts';

/** Milliseconds. */
const TIMING = { call: 5000, apply: 30_000, confirmEvery: 250, confirmLeast: 200, confirmMost: 2000 } as const;

/** The replica has said no: asking again soon would be no use. */
export class Refusal extends Error {}

interface Push {
  document: Json;
  /** Of the entries in the document. */
  hash: string;
  /** How long the replica waits for the confirmation. */
  confirmMs: number;
}

interface Applied {
  kept: boolean;
  /** What happened, or why the replica has gone back. */
  reason: string;
  /** A failover came in between: the same push may work soon. */
  brokeOff: boolean;
}

interface Wanted {
  hash: string;
  rules: string;
  nft: string;
}

/** @throws Refusal when the replica says no, Error when it cannot be told what became of it */
export async function applyOn(peer: string, push: Push, channel: PeerChannel, truth: KernelTruth): Promise<Applied> {
  const id = randomBytes(8).toString('hex');
  const wanted = { hash: push.hash, rules: rulesHash(await truth.rules()), nft: await truth.nftVersion() };
  const by = performance.now() + push.confirmMs;
  let answer: ApplyAnswer;
  try {
    const body = { id, document: push.document, confirm_ms: push.confirmMs };
    answer = await callChecked(channel, CALLS.apply, body, TIMING.apply, applyAnswer);
  } catch (error) {
    await abort(channel, id, `applying it failed: ${messageOf(error)}`);
    const said = sayFailed(error, peer, push.confirmMs);
    throw error instanceof CallError && error.trouble === 'refused' ? new Refusal(said) : new Error(said);
  }
  const wrong = await difference(answer, wanted, channel, truth);
  if (wrong !== null) {
    await abort(channel, id, wrong);
    const brokeOff = answer.roles_changed.length > 0;
    return { kept: false, reason: `${wrong}; ${peer} has gone back to what it had`, brokeOff };
  }
  await confirm(channel, id, by, peer);
  const unknown = answer.unknown.length === 0 ? '' : `; ${peer} does not know ${answer.unknown.join(', ')}`;
  return { kept: true, reason: `${peer} holds the same, read back from its kernel${unknown}`, brokeOff: false };
}

/** What the replica read back against what this node holds; null: the same. */
async function difference(
  answer: ApplyAnswer,
  wanted: Wanted,
  channel: PeerChannel,
  truth: KernelTruth,
): Promise<string | null> {
  if (answer.hash !== wanted.hash) return 'its configuration is not the same after applying it';
  if (answer.addresses.length > 0) return `its kernel holds other addresses: ${answer.addresses.join(', ')}`;
  if (answer.roles_changed.length > 0) return `a role has changed: ${answer.roles_changed.join(', ')}`;
  // Two versions of nft may write one and the same rule differently: then their texts prove nothing.
  if (answer.rules === wanted.rules || answer.nft !== wanted.nft) return null;
  const lines = await rulesDifference(channel, truth);
  return `its kernel holds other rules: ${lines.join(' | ')}`;
}

async function rulesDifference(channel: PeerChannel, truth: KernelTruth): Promise<string[]> {
  try {
    const theirs = await callChecked(channel, CALLS.rules, {}, TIMING.call, rulesAnswer);
    return diffLines(await truth.rules(), theirs.lines, 6);
  } catch (error) {
    return [`(the lines cannot be had: ${messageOf(error)})`];
  }
}

/** Until the replica's patience ends: the channel may break just now, and come back in time. */
async function confirm(channel: PeerChannel, id: string, by: number, peer: string): Promise<void> {
  for (;;) {
    try {
      const left = Math.min(TIMING.confirmMost, by - performance.now());
      await channel.call(CALLS.confirm, { id }, Math.max(TIMING.confirmLeast, left));
      return;
    } catch (error) {
      const final = error instanceof CallError && error.trouble === 'refused';
      if (final) throw new Error(`${peer} has gone back to what it had: ${messageOf(error)}`);
      if (performance.now() >= by) {
        throw new Error(`${peer} could not be told to keep it (${messageOf(error)}), so it goes back to what it had`);
      }
      await new Promise((resolve) => setTimeout(resolve, TIMING.confirmEvery));
    }
  }
}

async function abort(channel: PeerChannel, id: string, reason: string): Promise<void> {
  try {
    await channel.call(CALLS.abort, { id, reason: reason.slice(0, 500) }, TIMING.call);
  } catch {
    // It goes back by itself when no confirmation comes.
  }
}

function sayFailed(error: unknown, peer: string, confirmMs: number): string {
  const unsure = error instanceof CallError && (error.trouble === 'lost' || error.trouble === 'timeout');
  return unsure
    ? `${messageOf(error)}; without a confirmation ${peer} goes back to what it had within ${confirmMs / 1000} s`
    : `${peer} refuses: ${messageOf(error)}`;
}

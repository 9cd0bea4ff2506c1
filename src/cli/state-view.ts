/** A state as commands show it: what the node sends for `states`, and its line for people. Pure. */

import { clean } from './text.ts';

export interface TupleView {
  src: string;
  dst: string;
  /** `null` for protocols without ports. */
  sport: number | null;
  dport: number | null;
  /** ICMP only. */
  type?: number;
  code?: number;
  id?: number;
}

export interface StateView {
  /** Name (`tcp`) or, where there is none, the number as text. */
  proto: string;
  family: 4 | 6;
  orig: TupleView;
  reply: TupleView;
  nat: 'snat' | 'dnat' | 'both' | null;
  /** The protocol's own state (`ESTABLISHED`); `null` for protocols without. */
  state: string | null;
  /** `SEEN_REPLY`, `ASSURED` … */
  status: string[];
  mark: number;
  zone: number;
  /** Own: this node forwards it. Mirrored: the peer does. Unclaimed: nobody has said so yet. */
  owner: 'own' | 'mirrored' | 'unclaimed';
  /** Is it in this node's kernel? */
  kernel: boolean;
  /** Seconds left; `null` when not known here. */
  timeout: number | null;
}

function tupleText(tuple: TupleView): string {
  const parts = [`src=${clean(tuple.src)}`, `dst=${clean(tuple.dst)}`];
  if (tuple.sport !== null) parts.push(`sport=${tuple.sport}`);
  if (tuple.dport !== null) parts.push(`dport=${tuple.dport}`);
  for (const key of ['type', 'code', 'id'] as const) if (tuple[key] !== undefined) parts.push(`${key}=${tuple[key]}`);
  return parts.join(' ');
}

/** One line in the manner of `conntrack -L`, with what only Carpio knows at its end. */
export function stateLine(state: StateView): string {
  const seen = state.status.includes('SEEN_REPLY');
  const parts = [clean(state.proto).padEnd(8), state.timeout === null ? '-' : String(state.timeout)];
  if (state.state !== null) parts.push(clean(state.state));
  parts.push(tupleText(state.orig));
  if (!seen) parts.push('[UNREPLIED]');
  parts.push(tupleText(state.reply));
  if (state.status.includes('ASSURED')) parts.push('[ASSURED]');
  if (state.status.includes('OFFLOAD')) parts.push('[OFFLOAD]');
  parts.push(`mark=${state.mark}`);
  if (state.zone !== 0) parts.push(`zone=${state.zone}`);
  if (state.nat !== null) parts.push(`nat=${state.nat}`);
  parts.push(`owner=${state.owner}`, `kernel=${state.kernel ? 'yes' : 'no'}`);
  return parts.join(' ');
}

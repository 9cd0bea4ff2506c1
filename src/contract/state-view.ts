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
  /** Numbers of the label bits that are set. These three are missing in what older nodes send. */
  labels?: number[];
  /** The connection helper's name, as in `ftp`. */
  helper?: string | null;
  /** The zone counts in this direction only; `null`: in both. */
  zone_direction?: 'original' | 'reply' | null;
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
  const direction = state.zone_direction ? `${state.zone_direction === 'original' ? 'orig' : 'reply'}-` : '';
  if (state.zone !== 0 || direction !== '') parts.push(`${direction}zone=${state.zone}`);
  if (state.labels !== undefined && state.labels.length > 0) parts.push(`labels=${state.labels.join(',')}`);
  if (state.helper) parts.push(`helper=${clean(state.helper)}`);
  if (state.nat !== null) parts.push(`nat=${state.nat}`);
  parts.push(`owner=${state.owner}`, `kernel=${state.kernel ? 'yes' : 'no'}`);
  return parts.join(' ');
}

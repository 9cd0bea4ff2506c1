/** The once-a-second sample: the numbers of a status, flat, for charts and for readers that want nothing else. */
import type { NodeStatus } from '../contract/status.ts';

/**
 * Counters run from the start of the node; a number that is not known is left out.
 * @param createdTotal states that came into being on this node (mirrored ones not counted) since it started
 */
export function sampleOf(status: NodeStatus, createdTotal: number | null): Record<string, number> {
  const sample: Record<string, number> = {};
  const put = (name: string, value: number | boolean | null | undefined): void => {
    const number = Number(value ?? Number.NaN);
    if (Number.isFinite(number)) sample[name] = number;
  };
  put('uptime_s', status.uptime_s);
  put('demotion', status.carp.demotion.total);
  put('masters', status.carp.vips.filter((vip) => vip.state === 'MASTER').length);
  put('states_created', createdTotal);
  const sync = status.sync;
  if (sync === null) return sample;
  put('states', sync.states.total);
  put('states_own', sync.states.own);
  put('states_mirrored', sync.states.mirrored);
  put('states_kernel', sync.states.kernel);
  put('in_step', sync.in_step);
  put('checked_ms_ago', sync.checked_ms_ago);
  put('lag_ms', sync.lag_ms);
  put('peer_alive', sync.peer.alive);
  put('sent', sync.sent);
  put('received', sync.received);
  put('sent_bytes', sync.sent_bytes);
  put('received_bytes', sync.received_bytes);
  put('repairs', sync.repairs);
  put('repair_bytes', sync.repair_bytes);
  put('overruns', sync.overruns);
  put(
    'refused',
    Object.values(sync.refused).reduce((sum, count) => sum + count, 0),
  );
  return sample;
}

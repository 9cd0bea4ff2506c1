/** Puts the status together: what the election, the wire and the dataplane know, in the words of the contract. */

import { demotionTotal } from '../carp/context.ts';
import type { VhidStatus } from '../carp/report.ts';
import { demotionReasons, nodeRole, vhidStatus } from '../carp/report.ts';
import type { GroupState } from '../carp/types.ts';
import { nowUs } from '../contract/clock.ts';
import type {
  GateStatus,
  NodeStatus,
  PeerChannelStatus,
  ReplicateStatus,
  SyncStatus,
  VipStatus,
} from '../contract/status.ts';
import type { NodeRole } from '../contract/values.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import { causeText } from '../contract/words.ts';
import type { Gate } from '../gate/machine.ts';
import type { VipFacts } from '../gate/vip-set.ts';
import type { DataplaneHandle } from '../sync/control/handle.ts';

/** What stands still between two looks at a vhid. */
export interface PeerFacts {
  name: string | null;
  address: string | null;
  role: NodeRole | null;
}

interface SyncSource {
  dialect: string;
  sealed: boolean;
  handle: DataplaneHandle;
  peer: PeerFacts;
  keyReason: string | null;
}

interface StatusSources {
  name: string;
  version: string;
  startedUs: number;
  group: GroupState;
  vips: ReadonlyMap<string, VipFacts>;
  gate(key: VhidKey): Gate | null;
  counters: Record<string, number>;
  sync: SyncSource | null;
  channel: PeerChannelStatus | null;
  replicate: ReplicateStatus | null;
}

export function makeStatus(sources: StatusSources): NodeStatus {
  const { group } = sources;
  return {
    node: sources.name,
    version: sources.version,
    time: new Date().toISOString(),
    uptime_s: Math.round((nowUs() - sources.startedUs) / 100_000) / 10,
    role: nodeRole(group),
    carp: {
      preempt: group.config.preempt,
      maintenance: group.maintenance.on,
      demotion: {
        total: demotionTotal(group),
        reasons: demotionReasons(group),
      },
      vips: vhidStatus(group, nowUs()).flatMap((v) => {
        const facts = sources.vips.get(v.key);
        return facts === undefined ? [] : [{ ...vipStatus(facts, v), gate: gateStatus(sources.gate(v.key), v) }];
      }),
      counters: { ...sources.counters },
    },
    sync: sources.sync === null ? null : syncStatus(sources.sync),
    channel: sources.channel,
    replicate: sources.replicate,
  };
}

function vipStatus({ vip, device, mac, since }: VipFacts, v: VhidStatus): VipStatus {
  const { heard } = v;
  return {
    vhid: v.vhid,
    interface: v.interface,
    device,
    addresses: vip.addresses,
    state: v.state,
    since,
    reason: causeText(v.cause),
    advbase: v.advbase,
    advskew: v.advskew,
    effective_advskew: v.effectiveAdvskew,
    mac,
    takeover_ms: v.takeoverUs / 1000,
    heard:
      heard === null
        ? null
        : {
            from: heard.from,
            advbase: heard.advbase,
            advskew: heard.advskew,
            ms_ago: Math.round(heard.usAgo / 1000),
          },
  };
}

/** A vhid that never had a role has a closed gate, since it is known. */
function gateStatus(gate: Gate | null, v: VhidStatus): GateStatus {
  const state = gate?.phase ?? 'closed';
  const agoMs = gate === null ? 0 : (nowUs() - gate.sinceUs) / 1000;
  const why = {
    open: `${v.state}: ${causeText(v.cause)}`,
    waits: 'the gate of the peer has still to close',
    closed: v.state,
  };
  return { state, since: new Date(Date.now() - agoMs).toISOString(), why: why[state] };
}

function syncStatus({ dialect, sealed, handle, peer, keyReason }: SyncSource): SyncStatus {
  const number = (name: Parameters<DataplaneHandle['stat']>[0]): number => handle.stat(name) || 0;
  const ago = (name: 'checkedAt' | 'heardAt'): number | null => {
    const at = handle.stat(name);
    return at > 0 ? Math.max(0, Math.round(handle.now() - at)) : null;
  };
  const [own, mirrored, unclaimed] = [number('own'), number('mirrored'), number('unclaimed')];
  const lag = handle.stat('lag');
  return {
    dialect,
    sealed,
    peer: {
      node: peer.name,
      address: peer.address,
      alive: number('alive') === 1,
      heard_ms_ago: ago('heardAt'),
      role: number('alive') === 1 ? peer.role : null,
    },
    states: { total: own + mirrored + unclaimed, own, mirrored, kernel: own + mirrored - number('kernelMissing') },
    in_step: handle.inStep,
    in_step_reason: handle.inStepReason,
    key_reason: keyReason,
    checked_ms_ago: handle.inStep === null ? null : ago('checkedAt'),
    digest: number('open') === 1 ? handle.digest() : null,
    lag_ms: Number.isFinite(lag) ? Math.round(lag * 100) / 100 : null,
    sent: number('sent'),
    received: number('received'),
    sent_bytes: number('sentBytes'),
    received_bytes: number('receivedBytes'),
    repairs: number('repairs'),
    repair_bytes: number('repairBytes'),
    overruns: number('overruns'),
    refused: { ...handle.refused },
    slices: handle.slices(),
  };
}

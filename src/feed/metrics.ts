/**
 * The node as metrics for Prometheus. A value that is not known has no line: a guess would end up in somebody's alert.
 */

import type { NodeStatus, PeerChannelStatus, ReplicateStatus, SyncStatus } from '../contract/status.ts';
import { type Format, Page, type Sample } from './exposition.ts';

export interface FeedCounters {
  /** Open WebSocket clients now, those being closed included. */
  clients: number;
  /** Clients taken since the start. */
  accepted: number;
  events: number;
  /** Sample and status frames kept back from slow readers. */
  samples_dropped: number;
  /** Readers closed because they read too slowly or were gone. */
  closed_slow: number;
  /** Clients closed because they sent something. */
  closed_talking: number;
  /** Requests refused, by cause. */
  refused: Record<string, number>;
}

/**
 * @param healthReason why the node is not healthy, `null` when it is
 * @param format what the reader asked for (formatFor)
 */
export function renderMetrics(
  status: NodeStatus,
  feed: FeedCounters,
  healthReason: string | null,
  format: Format = 'openmetrics',
): string {
  const out = new Page(format);
  out.family('carpio_build', 'info', 'Version of Carpio and of its runtime.', [
    [1, { version: status.version, runtime: process.version, arch: process.arch }],
  ]);
  out.family('carpio_node', 'info', 'Name of this node.', [[1, { node: status.node }]]);
  out.family('carpio_uptime_seconds', 'gauge', 'Time since the node started.', [[status.uptime_s]]);
  out.family('carpio_healthy', 'gauge', '1 when the node answers that it is healthy.', [[healthReason === null]]);
  troubleMetrics(out, status);
  electionMetrics(out, status);
  if (status.sync !== null) {
    peerMetrics(out, status.sync);
    syncMetrics(out, status.sync);
  }
  if (status.channel) channelMetrics(out, status.channel);
  if (status.replicate) replicateMetrics(out, status.replicate);
  feedMetrics(out, feed);
  return out.text();
}

function troubleMetrics(out: Page, { trouble }: NodeStatus): void {
  if (trouble === undefined) return;
  out.family('carpio_troubles', 'gauge', 'Open troubles.', [[trouble.length]]);
  // Several of one kind in one place are one line: no sample may stand twice.
  const named = new Map(trouble.map(({ what, where, severity }) => [`${what} ${where}`, { what, where, severity }]));
  out.family(
    'carpio_trouble',
    'gauge',
    'An open trouble; carpio status says it in a sentence.',
    [...named.values()].map((labels): Sample => [1, labels]),
  );
}

function electionMetrics(out: Page, status: NodeStatus): void {
  const vips = status.carp.vips.map((vip) => ({ vip, labels: { vhid: vip.vhid, interface: vip.interface } }));
  const states = ['INIT', 'BACKUP', 'MASTER'] as const;
  out.family(
    'carpio_vip_state',
    'gauge',
    'CARP state of this node: 1 for the state it is in, 0 for the others.',
    vips.flatMap(({ vip, labels }) => states.map((state): Sample => [vip.state === state, { ...labels, state }])),
  );
  out.family(
    'carpio_vip_gate_open',
    'gauge',
    'Whether packets for the virtual addresses pass.',
    vips.map(({ vip, labels }): Sample => [vip.gate === undefined ? null : vip.gate.state === 'open', labels]),
  );
  out.family(
    'carpio_vip_since_timestamp_seconds',
    'gauge',
    'When this node took its present CARP state.',
    vips.map(({ vip, labels }): Sample => [Date.parse(vip.since) / 1000, labels]),
  );
  out.family(
    'carpio_vip_advskew',
    'gauge',
    'Effective advskew in 1/256 s, demotion included.',
    vips.map(({ vip, labels }): Sample => [vip.effective_advskew, labels]),
  );
  out.family(
    'carpio_vip_takeover_seconds',
    'gauge',
    'Longest silence of the master before this node takes over.',
    vips.map(({ vip, labels }): Sample => [vip.takeover_ms / 1000, labels]),
  );
  out.family(
    'carpio_vip_heard_age_seconds',
    'gauge',
    'Age of the last advertisement heard from another node.',
    vips.map(({ vip, labels }): Sample => [vip.heard === null ? null : vip.heard.ms_ago / 1000, labels]),
  );
  demotionMetrics(out, status);
}

function demotionMetrics(out: Page, status: NodeStatus): void {
  out.family('carpio_maintenance', 'gauge', '1 while the node is in maintenance.', [[status.carp.maintenance]]);
  out.family('carpio_demotion', 'gauge', 'Sum of the demotion weights.', [[status.carp.demotion.total]]);
  out.family(
    'carpio_demotion_reason',
    'gauge',
    'Demotion weight by its named reason.',
    status.carp.demotion.reasons.map(({ reason, weight }): Sample => [weight, { reason }]),
  );
  out.family(
    'carpio_carp',
    'counter',
    'CARP packets and decisions by the BSD names of the counters.',
    Object.entries(status.carp.counters).map(([name, count]): Sample => [count, { name }]),
  );
}

function peerMetrics(out: Page, sync: SyncStatus): void {
  const age = sync.peer.heard_ms_ago;
  out.family('carpio_peer_alive', 'gauge', '1 while the peer is heard on the sync link.', [[sync.peer.alive]]);
  out.family('carpio_peer_heard_age_seconds', 'gauge', 'Age of the last sign of life of the peer.', [
    [age === null ? null : age / 1000],
  ]);
}

function syncMetrics(out: Page, sync: SyncStatus): void {
  out.family('carpio_states', 'gauge', 'States by owner.', [
    [sync.states.own, { owner: 'own' }],
    [sync.states.mirrored, { owner: 'mirrored' }],
  ]);
  out.family('carpio_states_kernel', 'gauge', 'States that are in the kernel of this node.', [[sync.states.kernel]]);
  out.family('carpio_in_step_known', 'gauge', '1 when it is known whether both nodes hold the same states.', [
    [sync.in_step !== null],
  ]);
  out.family('carpio_in_step', 'gauge', '1 in step, 0 not in step; no value while it is not known.', [[sync.in_step]]);
  out.family('carpio_in_step_age_seconds', 'gauge', 'Age of the last comparison of the two tables.', [
    [sync.checked_ms_ago === null ? null : sync.checked_ms_ago / 1000],
  ]);
  out.family('carpio_sync_lag_seconds', 'gauge', 'Time until the peer has confirmed a change.', [
    [sync.lag_ms === null ? null : sync.lag_ms / 1000],
  ]);
  out.family('carpio_sync_sealed', 'gauge', '1 when the sync link is encrypted.', [[sync.sealed]]);
  out.family('carpio_sync_datagrams', 'counter', 'Datagrams on the sync link.', [
    [sync.sent, { direction: 'sent' }],
    [sync.received, { direction: 'received' }],
  ]);
  out.family('carpio_sync_bytes', 'counter', 'Bytes on the sync link.', [
    [sync.sent_bytes, { direction: 'sent' }],
    [sync.received_bytes, { direction: 'received' }],
  ]);
  out.family('carpio_sync_repairs', 'counter', 'Repairs of a difference between the tables.', [[sync.repairs]]);
  out.family('carpio_sync_repair_bytes', 'counter', 'Bytes sent for repairs.', [[sync.repair_bytes]]);
  if (sync.slices !== undefined) {
    const { bounds_ms, counts, sum_ms } = sync.slices;
    const help = 'Time that a slice of background work (repair, sweep, audit) kept the dataplane loop.';
    out.histogram('carpio_sync_slice_seconds', help, bounds_ms.map(seconds), counts, seconds(sum_ms));
  }
  out.family('carpio_sync_overruns', 'counter', 'Times the kernel had to drop connection events.', [[sync.overruns]]);
  out.family('carpio_sync_refused', 'counter', 'Sync input refused, by cause.', byCause(sync.refused));
}

function channelMetrics(out: Page, channel: PeerChannelStatus): void {
  out.family('carpio_channel_open', 'gauge', '1 while the peer channel is open.', [[channel.state === 'open']]);
  out.family('carpio_channel_connects', 'counter', 'Times the peer channel was opened.', [[channel.connects]]);
  out.family('carpio_channel_messages', 'counter', 'Messages on the peer channel.', [
    [channel.sent, { direction: 'sent' }],
    [channel.received, { direction: 'received' }],
  ]);
  out.family('carpio_channel_bytes', 'counter', 'Bytes of messages on the peer channel.', [
    [channel.sent_bytes, { direction: 'sent' }],
    [channel.received_bytes, { direction: 'received' }],
  ]);
  out.family('carpio_channel_refused', 'counter', 'Refused on the peer channel, by cause.', byCause(channel.refused));
}

function replicateMetrics(out: Page, replicate: ReplicateStatus): void {
  out.family('carpio_replicate_known', 'gauge', '1 when it is known whether both nodes share one configuration.', [
    [replicate.same !== null],
  ]);
  out.family('carpio_replicate_same', 'gauge', '1 the same shared configuration, 0 not; no value while not known.', [
    [replicate.same],
  ]);
  out.family('carpio_replicate_drift', 'gauge', 'Lines of the kernel that differ from what was loaded.', [
    [replicate.drift.length, { where: 'here' }],
    [replicate.peer_drift.length, { where: 'peer' }],
  ]);
}

function feedMetrics(out: Page, feed: FeedCounters): void {
  out.family('carpio_feed_clients', 'gauge', 'Open WebSocket clients.', [[feed.clients]]);
  out.family('carpio_feed_accepted', 'counter', 'WebSocket clients taken.', [[feed.accepted]]);
  out.family('carpio_feed_events', 'counter', 'Events published.', [[feed.events]]);
  out.family('carpio_feed_samples_dropped', 'counter', 'Samples kept back from slow readers.', [
    [feed.samples_dropped],
  ]);
  out.family('carpio_feed_closed', 'counter', 'Clients closed by this node, by cause.', [
    [feed.closed_slow, { cause: 'slow' }],
    [feed.closed_talking, { cause: 'talking' }],
  ]);
  out.family('carpio_feed_refused', 'counter', 'Requests refused, by cause.', byCause(feed.refused));
}

function seconds(ms: number): number {
  return ms / 1000;
}

function byCause(counts: Record<string, number>): Sample[] {
  return Object.entries(counts).map(([cause, count]) => [count, { cause }]);
}

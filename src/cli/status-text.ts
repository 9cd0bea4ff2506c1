/** `carpio status` for people. Pure. */

import type { NodeStatus, PeerChannelStatus, SyncStatus, VipStatus } from '../contract/status.ts';
import { clean } from '../contract/text.ts';
import type { Trouble } from '../contract/trouble.ts';
import type { CarpState, NodeRole } from '../contract/values.ts';
import { replicateLine } from './replicate-text.ts';
import { duration, type Paint, seconds, table } from './text.ts';

const count = (n: number) => n.toLocaleString('en-US');

function stateText(state: CarpState, paint: Paint): string {
  if (state === 'MASTER') return paint('green', state);
  return paint(state === 'BACKUP' ? 'cyan' : 'yellow', state);
}

function roleText(role: NodeRole, paint: Paint): string {
  const style = role === 'master' ? 'green' : role === 'backup' ? 'cyan' : 'yellow';
  return paint(style, paint('bold', role));
}

function heardText(vip: VipStatus): string {
  if (!vip.heard) return '-';
  const { from, advbase, advskew, ms_ago } = vip.heard;
  return `${clean(from)} ${advbase}/${advskew}, ${duration(ms_ago)} ago`;
}

function ownTimers(vip: VipStatus): string {
  const effective = vip.effective_advskew === vip.advskew ? '' : `, now ${vip.effective_advskew}`;
  return `${vip.advbase}/${vip.advskew}${effective}`;
}

function vipRows(status: NodeStatus, now: number, paint: Paint): string[] {
  const head = ['VHID', 'INTERFACE', 'STATE', 'SINCE', 'ADDRESSES', 'BASE/SKEW', 'TAKES OVER', 'HEARD'];
  const rows = status.carp.vips.map((vip) => [
    String(vip.vhid).padStart(4),
    clean(`${vip.interface} (${vip.device})`),
    stateText(vip.state, paint),
    duration(now - Date.parse(vip.since)),
    vip.addresses.join(' '),
    ownTimers(vip),
    seconds(vip.takeover_ms),
    heardText(vip),
  ]);
  const lines = table([head.map((cell) => paint('dim', cell)), ...rows]);
  return lines.flatMap((line, i) => {
    const vip = status.carp.vips[i - 1];
    const reason = i === 0 ? '' : clean(vip?.reason ?? '') + gateText(vip);
    return reason === '' ? [line] : [line, `      ${paint('dim', reason)}`];
  });
}

/** Only where it is not what the state says already. */
function gateText(vip: VipStatus | undefined): string {
  const expected = vip?.state === 'MASTER' ? 'open' : 'closed';
  if (vip?.gate === undefined || vip.gate.state === expected) return '';
  return `; gate ${vip.gate.state}: ${clean(vip.gate.why)}`;
}

function stepText(sync: SyncStatus, paint: Paint): string {
  const age = sync.checked_ms_ago === null ? '' : `, checked ${duration(sync.checked_ms_ago)} ago`;
  const why = sync.in_step_reason === null ? '' : `: ${clean(sync.in_step_reason)}`;
  if (sync.in_step === null) return paint('yellow', 'not known') + why;
  return (sync.in_step ? paint('green', 'yes') : paint('red', 'NO') + why) + age;
}

function peerText(sync: SyncStatus, paint: Paint): string {
  const { peer } = sync;
  const name = clean(peer.node ?? peer.address ?? 'not configured, not seen yet');
  const at = peer.node !== null && peer.address !== null ? ` at ${clean(peer.address)}` : '';
  const heard = peer.heard_ms_ago === null ? 'never heard' : `heard ${duration(peer.heard_ms_ago)} ago`;
  const role = peer.role === null ? '' : `${roleText(peer.role, paint)}, `;
  return `${name}${at}: ${peer.alive ? '' : `${paint('red', 'not there')}, `}${role}${heard}`;
}

function channelText(channel: PeerChannelStatus, paint: Paint): string {
  const refused = Object.entries(channel.refused).map(([cause, n]) => `${clean(cause)} ${count(n)}`);
  const tail = refused.length === 0 ? '' : `; refused: ${refused.join(', ')}`;
  if (channel.state !== 'open') return `${paint('yellow', 'down')}: ${clean(channel.reason ?? channel.state)}${tail}`;
  return `to ${clean(channel.node ?? '?')} (carpio ${clean(channel.version ?? '?')}), ${clean(channel.seal ?? '')}${tail}`;
}

function syncRows(sync: SyncStatus, paint: Paint): [string, string][] {
  const { states } = sync;
  const refused = Object.entries(sync.refused).filter(([, n]) => n > 0);
  const seal = sync.sealed ? 'sealed' : paint('yellow', 'OPEN: no key');
  const lag = sync.lag_ms === null ? '' : `, lag ${sync.lag_ms.toFixed(1)} ms`;
  const traffic = `${count(sync.sent)} datagrams sent, ${count(sync.received)} received`;
  const repairs = `${count(sync.repairs)} repairs (${count(sync.repair_bytes)} bytes), ${count(sync.overruns)} overruns`;
  const rows: [string, string][] = [
    ['peer', peerText(sync, paint)],
    ['in step', stepText(sync, paint)],
    [
      'states',
      `${count(states.total)}: ${count(states.own)} own, ${count(states.mirrored)} mirrored, ${count(states.kernel)} in the kernel`,
    ],
    ['sync', `${clean(sync.dialect)}, ${seal}${lag}; ${traffic}; ${repairs}`],
  ];
  if (sync.key_reason) rows.push(['pair key', paint('yellow', clean(sync.key_reason))]);
  if (refused.length > 0) rows.push(['refused', refused.map(([cause, n]) => `${clean(cause)} ${count(n)}`).join(', ')]);
  return rows;
}

function demotionText(status: NodeStatus, paint: Paint): string {
  const { total, reasons } = status.carp.demotion;
  if (reasons.length === 0) return String(total);
  return `${paint('yellow', String(total))} (${reasons.map(({ reason, weight }) => `${clean(reason)} ${weight}`).join(', ')})`;
}

/** The open troubles, each with its mend under it. */
function troubleLines(troubles: readonly Trouble[], now: number, paint: Paint): string[] {
  return troubles.flatMap(({ severity, text, mend, since }) => {
    const word = paint(severity === 'error' ? 'red' : 'yellow', severity.padEnd(7));
    const age = duration(Math.max(0, now - Date.parse(since)));
    return [`${word}  ${clean(text)} (for ${age})`, `         ${paint('dim', `mend: ${clean(mend)}`)}`];
  });
}

/** @param now ms since 1970, against which `since` is told */
export function renderStatus(status: NodeStatus, now: number, paint: Paint): string {
  const { carp } = status;
  const title = `${paint('bold', clean(status.node))}  ${roleText(status.role, paint)}`;
  const up = `carpio ${clean(status.version)}, up ${duration(status.uptime_s * 1000)}`;
  const rows: [string, string][] = status.sync ? syncRows(status.sync, paint) : [['sync', 'not configured']];
  if (status.channel) rows.push(['channel', channelText(status.channel, paint)]);
  if (status.replicate) rows.push(['shared', replicateLine(status.replicate, paint)]);
  rows.push(['demotion', demotionText(status, paint)]);
  if (carp.maintenance)
    rows.push(['maintenance', paint('yellow', 'on: the peer is to be master (carpio maintenance off)')]);
  if (!carp.preempt) rows.push(['preempt', 'off: the node that is master stays it']);
  const vips = carp.vips.length > 0 ? vipRows(status, now, paint) : ['no virtual address is configured'];
  const trouble = troubleLines(status.trouble ?? [], now, paint);
  if (trouble.length > 0) trouble.push('');
  return [`${title}  ${paint('dim', up)}`, '', ...trouble, ...vips, '', ...table(rows)]
    .map((line) => `${line}\n`)
    .join('');
}

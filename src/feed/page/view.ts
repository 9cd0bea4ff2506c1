/**
 * What the page says, worked out from what the feeds have told: pure, so that every sentence can be tested. All times
 * in ms of one steady clock. The rule above all: "in step" is never said on old news.
 */
import type { NodeStatus, ReplicateStatus, VipStatus } from '../../contract/status.ts';
import { byUrgency, type Trouble } from '../../contract/trouble.ts';
import type { NodeRole } from '../../contract/values.ts';
import { span } from './words.ts';

/** One feed and the last it told. */
export interface Watched {
  /** What to call it before the node has said its name. */
  label: string;
  link: 'connecting' | 'live' | 'lost';
  /** Since when the link is as it is. */
  linkSince: number;
  status: NodeStatus | null;
  /** When `status` came. */
  statusAt: number;
}

type Tone = 'master' | 'backup' | 'mixed' | 'init' | 'alive' | 'unheard' | 'waiting';

export interface VipView {
  name: string;
  addresses: string[];
  tone: Tone;
  state: string;
  told: string;
  heard: string;
}

export interface CardView {
  name: string;
  tone: Tone;
  role: string;
  /** Lines under the role. */
  notes: string[];
  uptime: string | null;
  vips: VipView[];
  demotion: string | null;
  demoted: boolean;
  states: { own: number; mirrored: number; kernel: number } | null;
}

export interface StepView {
  answer: 'yes' | 'no' | 'unknown';
  text: string;
  /** Why not, or why it is not known. */
  reason: string | null;
  states: number | null;
  age: string | null;
}

export const GLYPH: Record<Tone, string> = {
  master: '▲',
  backup: '▽',
  mixed: '◮',
  init: '○',
  alive: '◇',
  unheard: '✕',
  waiting: '…',
};

/** A comparison older than this is no longer called a fact. */
export const STALE_MS = 5000;
/** How long a page that has just been opened may be without news before it calls that a loss. */
const FIRST_NEWS_MS = 3000;

const STATE_TONE = { MASTER: 'master', BACKUP: 'backup', INIT: 'init' } as const;

/** One card a feed; with one feed only, the second card is the peer as that node sees it. */
export function cards(watched: Watched[], now: number): CardView[] {
  const own = watched.map((feed) => ownCard(feed, watched, now));
  const only = watched.length === 1 ? watched[0] : undefined;
  if (only === undefined) return own;
  const peer = peerCard(only, now);
  return peer === null ? own : [...own, peer];
}

function ownCard(feed: Watched, watched: Watched[], now: number): CardView {
  const { status } = feed;
  if (feed.link !== 'live' || status === null) return silentCard(feed, watched, now);
  const elapsed = now - feed.statusAt;
  const { demotion, maintenance, vips } = status.carp;
  const masters = vips.filter((vip) => vip.state === 'MASTER').length;
  const shared = sharedReason(vips);
  return {
    name: status.node,
    tone: status.role,
    role: status.role === 'mixed' ? `MASTER of ${masters} of ${vips.length}` : status.role.toUpperCase(),
    notes: [
      ...(maintenance ? ['in maintenance'] : []),
      ...(shared === null ? [] : [shared]),
      ...sharedConfiguration(status.replicate ?? null),
    ],
    uptime: `up ${span(status.uptime_s * 1000 + elapsed)}`,
    vips: vips.map((vip) => vipView(vip, status, elapsed, shared === null)),
    demotion: demotionText(demotion),
    demoted: demotion.total > 0,
    states: status.sync?.states ?? null,
  };
}

/** Whether this node's shared configuration is the pair's, and what somebody changed by hand. */
function sharedConfiguration(replicate: ReplicateStatus | null): string[] {
  if (replicate === null) return [];
  const { same, reason, drift } = replicate;
  const [first] = drift;
  const hand = first === undefined ? [] : [`changed by hand: ${first}`];
  if (same === true) return hand.length > 0 ? hand : ['shared configuration: the same'];
  const word = same === null ? 'not known' : 'NOT the same';
  return [`shared configuration: ${word}${reason === null ? '' : `, ${reason}`}`, ...hand];
}

/** The reason that all virtual IPs give, said once for all of them; `null` when they differ. */
function sharedReason(vips: VipStatus[]): string | null {
  const reasons = [...new Set(vips.map((vip) => vip.reason))];
  return reasons.length === 1 ? reasons[0]! : null;
}

function demotionText({ total, reasons }: NodeStatus['carp']['demotion']): string {
  const named = reasons.map(({ reason, weight }) => `${reason} ${weight}`).join(', ');
  return named === '' ? String(total) : `${total}: ${named}`;
}

function vipView(vip: VipStatus, status: NodeStatus, elapsed: number, withReason: boolean): VipView {
  // Both times are the node's own: its clock may be far from ours.
  const held = Date.parse(status.time) - Date.parse(vip.since) + elapsed;
  const { heard } = vip;
  return {
    name: `vhid ${vip.vhid} · ${vip.interface}`,
    addresses: vip.addresses,
    tone: STATE_TONE[vip.state],
    state: vip.state,
    told: [...(Number.isFinite(held) ? [`for ${span(held)}`] : []), ...(withReason ? [vip.reason] : [])].join(' · '),
    heard:
      heard === null
        ? 'hears no advert'
        : `hears ${heard.from} · base ${heard.advbase} skew ${heard.advskew} · ${span(heard.ms_ago + elapsed)} ago`,
  };
}

/** A node whose feed is silent: what the other node knows of it, else that nobody hears it. */
function silentCard(feed: Watched, watched: Watched[], now: number): CardView {
  const silence = now - feed.linkSince;
  const witness = watched.find((other) => other !== feed && other.link === 'live' && other.status?.sync);
  const peer = witness?.status?.sync?.peer;
  const name = feed.status?.node ?? peer?.node ?? feed.label;
  const last = feed.status === null ? [] : [`last known: ${feed.status.role.toUpperCase()}`];
  const lost = `its feed is silent for ${span(silence)}`;
  if (witness && peer?.alive) {
    const seen = `heard by ${witness.status!.node}, ${span((peer.heard_ms_ago ?? 0) + now - witness.statusAt)} ago`;
    return { ...blank(name, peer.role ?? 'alive'), notes: [seen, lost] };
  }
  if (feed.status === null && silence < FIRST_NEWS_MS) {
    return { ...blank(name, 'waiting'), role: 'WAITING', notes: ['for the first news'] };
  }
  const age = peer?.heard_ms_ago == null ? lost : `last heard ${span(peer.heard_ms_ago + now - witness!.statusAt)} ago`;
  return { ...blank(name, 'unheard'), role: 'NOT HEARD', notes: [age, ...last] };
}

function peerCard(feed: Watched, now: number): CardView | null {
  const peer = feed.status?.sync?.peer;
  if (!peer) return null;
  const name = peer.node ?? peer.address ?? 'peer';
  if (feed.link !== 'live') {
    return { ...blank(name, 'unheard'), role: 'NOT KNOWN', notes: [`${feed.status!.node} tells nothing`] };
  }
  const heard = peer.heard_ms_ago === null ? 'never heard' : `${span(peer.heard_ms_ago + now - feed.statusAt)} ago`;
  const seen = `heard by ${feed.status!.node}, ${heard}`;
  if (!peer.alive) return { ...blank(name, 'unheard'), role: 'NOT HEARD', notes: [seen] };
  const where = peer.address === null ? [] : [`at ${peer.address} on the sync link`];
  return { ...blank(name, peer.role ?? 'alive'), notes: [seen, ...where] };
}

function blank(name: string, tone: NodeRole | Tone): CardView {
  const role = tone.toUpperCase();
  return { name, tone, role, notes: [], uptime: null, vips: [], demotion: null, demoted: false, states: null };
}

/** Are both tables the same? One "no" outweighs any "yes", and so does one "not known". */
export function inStep(watched: Watched[], now: number): StepView {
  const unknown = (reason: string): StepView => step('unknown', 'not known', reason);
  const live = watched.filter((feed) => feed.link === 'live' && feed.status !== null);
  if (live.length === 0) {
    const waiting = watched.every((feed) => feed.status === null && now - feed.linkSince < FIRST_NEWS_MS);
    return unknown(waiting ? 'waiting for the first news' : 'no feed tells anything');
  }
  const told = live.flatMap((feed) => {
    const sync = feed.status?.sync;
    return sync ? [{ sync, node: feed.status!.node, at: feed.statusAt }] : [];
  });
  if (told.length === 0) return unknown('this node has no state sync configured');
  const says = (node: string, reason: string | null): string =>
    `${watched.length > 1 ? `${node}: ` : ''}${reason ?? 'no reason given'}`;
  const no = told.find(({ sync }) => sync.in_step === false);
  if (no) return step('no', 'NOT in step', says(no.node, no.sync.in_step_reason));
  const open = told.find(({ sync }) => sync.in_step === null || sync.checked_ms_ago === null);
  if (open) return unknown(says(open.node, open.sync.in_step_reason));
  const ages = told.map(({ sync, at }) => (sync.checked_ms_ago ?? Number.POSITIVE_INFINITY) + now - at);
  const age = Math.min(...ages);
  const newest = told[ages.indexOf(age)]!;
  if (age > STALE_MS) return unknown(`last compared ${span(age)} ago`);
  return { ...step('yes', 'in step', null), states: newest.sync.states.total, age: `${span(age)} ago` };
}

function step(answer: StepView['answer'], text: string, reason: string | null): StepView {
  return { answer, text, reason, states: null, age: null };
}

/** What must not be: two masters, or none. Said only of feeds that are live; the caller waits before it shows it. */
export function alarm(watched: Watched[]): string | null {
  const live = watched.filter((feed) => feed.link === 'live' && feed.status !== null);
  const groups = new Map<string, string[]>();
  for (const { status } of live) {
    for (const vip of status!.carp.vips) {
      const key = `vhid ${vip.vhid} on ${vip.interface}`;
      groups.set(key, [...(groups.get(key) ?? []), ...(vip.state === 'MASTER' ? [status!.node] : [])]);
    }
  }
  const two = [...groups].filter(([, masters]) => masters.length > 1);
  if (two.length > 0) {
    return `Two masters: ${two.map(([vip, masters]) => `${vip} (${masters.join(' and ')})`).join(', ')}`;
  }
  const none = [...groups].filter(([, masters]) => masters.length === 0);
  const allLive = live.length === watched.length && watched.length > 1;
  return allLive && none.length > 0 ? `No master: ${none.map(([vip]) => vip).join(', ')}` : null;
}

export interface TroubleView {
  severity: Trouble['severity'];
  text: string;
  mend: string;
}

/** What the nodes themselves call wrong, worst first; the node's name in front where several are watched. */
export function troubles(watched: Watched[], now: number): TroubleView[] {
  return watched
    .flatMap(({ status, link, statusAt }) =>
      link !== 'live' || status === null
        ? []
        : (status.trouble ?? []).map((trouble) => ({ trouble, status, elapsed: now - statusAt })),
    )
    .sort((a, b) => byUrgency(a.trouble, b.trouble))
    .map(({ trouble, status, elapsed }) => {
      // Both times are the node's own.
      const age = span(Date.parse(status.time) - Date.parse(trouble.since) + elapsed);
      const who = watched.length > 1 ? `${status.node}: ` : '';
      return { severity: trouble.severity, text: `${who}${trouble.text} (for ${age})`, mend: trouble.mend };
    });
}

/** The window's title: the master and the comparison, e.g. "▲ fw-a MASTER · in step". */
export function title(shown: CardView[], compared: StepView, feeds: number): string {
  const order: Tone[] = feeds === 1 ? [] : ['master', 'mixed', 'alive', 'backup', 'init', 'waiting'];
  const chosen = order.flatMap((tone) => shown.filter((card) => card.tone === tone))[0] ?? shown[0];
  const node = chosen ? `${GLYPH[chosen.tone]} ${chosen.name} ${chosen.role}` : 'Carpio';
  return `${node} · ${compared.answer === 'unknown' ? 'in step: not known' : compared.text}`;
}

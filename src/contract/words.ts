/**
 * The words of events and causes: one plain sentence a kind. The log, the feed, the hook and the status take their
 * words from here and from nowhere else, and nothing decides by them. Pure.
 */

import type { Cause, Decided, Left, LeftWhy, ProbeCause, RoleCause, Standing, Suspicion } from './causes.ts';
import type { NodeEvent, ToldEvent } from './events.ts';
import { DIAGNOSIS_SEVERITY } from './trouble.ts';
import type { Json } from './values.ts';

const timers = ({ advbase, advskew }: Standing): string => `${advbase}/${advskew}`;
const demoted = (side: Standing): string => `${timers(side)} demotion ${side.demote}`;

/** The better side first: `1/0 < 1/100`, or the demotions when they decided. */
function compared(by: Decided, better: Standing, worse: Standing): string {
  if (by === 'demotion') return `demotion ${better.demote} < ${worse.demote}`;
  if (by === 'tie') return `${timers(better)} = ${timers(worse)}, lower address`;
  return `${timers(better)} < ${timers(worse)}`;
}

function suspicion(first: Suspicion): string {
  if (first.why === 'carrier_lost') return 'the sync link has lost its carrier';
  if (first.why === 'channel_ended') return "the peer channel's connection has ended";
  if (first.why === 'sync_link_silent') return 'the sync link is silent';
  return `no sign of the peer for ${first.silent_ms} ms`;
}

function probeText(cause: ProbeCause): string {
  const first = suspicion(cause.first);
  switch (cause.why) {
    case 'peer_dead':
      return `${first}, and no answer from the peer on ${cause.paths.join(', ')} for ${cause.asked_ms} ms`;
    case 'peer_lives':
      return `${first}, but the peer lives: it ${cause.sign === 'advert' ? 'advertises' : 'answers'} on ${cause.path}`;
    case 'no_path':
      return `${first}, and no other path to ask the peer`;
  }
}

function linkText({ interface: role, is }: Extract<RoleCause, { why: 'link' }>): string {
  if (is === 'unknown') return `state of ${role} not known yet`;
  if (is === 'gone') return `interface gone: ${role}`;
  return is === 'down' ? `link down on ${role}` : `link on ${role} is back, waiting whether it stays`;
}

function leftWhy(because: LeftWhy): string {
  switch (because.why) {
    case 'nobody_heard':
      return 'no other node was heard';
    case 'worse_rival':
      return `${because.from} is there, but is the worse master`;
    case 'peer_link_down':
      return "the peer's link is down";
    case 'peer_stops':
      return 'the peer is going down itself';
    case 'peer_lacks_vhid':
      return 'the peer does not have this vhid';
    case 'peer_in_init':
      return "the peer's vhid is in INIT";
    case 'peer_demoted':
      return `the peer is demoted by ${because.demotion} itself`;
    case 'peer_not_in_step':
      return 'the peer is not in step';
    case 'peer_did_not':
      return `the peer is ${because.state} and did not take over; do adverts reach it?`;
  }
}

function nobodyTook(left: readonly Left[]): string {
  const list = left.map(({ vhid, interface: role, because }) => `vhid ${vhid} on ${role}: ${leftWhy(because)}`);
  return `nobody took over ${list.join('; ')}`;
}

const SIMPLE = {
  not_started: 'not started',
  listening: 'listening',
  by_hand: 'set by hand',
  peer_gave_up: 'peer says it gave up this vhid',
  peer_stops: 'peer says it is going down',
  peer_not_master: 'peer says it is no longer master',
  peer_better_master: 'the peer is the better master, says the sync link',
  allow_off: 'CARP is switched off (net.inet.carp.allow)',
  no_address: 'the interface has no own address to advertise from',
  removed: 'removed from the configuration',
  switched_off: 'switched off',
  master_of_nothing: 'this node is master of nothing',
  told_twice: 'told twice to stop',
  again: 'again after take-over',
  peer_let_go: 'the peer has let go',
  unproven: 'it does not prove that the peer sends it now: forged, or played again',
  stranger: 'it is from a host that [carp] peers_only does not name',
  name_length: 'a demotion reason is 1 to 128 characters long',
} as const satisfies Partial<Record<Cause['why'], string>>;

type Simple = keyof typeof SIMPLE;

const isSimple = (cause: Cause): cause is Extract<Cause, { why: Simple }> => cause.why in SIMPLE;

/** The words of a cause: a clause without an end, as it stands in brackets or as `reason`. */
export function causeText(cause: Cause): string {
  if (isSimple(cause)) return SIMPLE[cause.why];
  switch (cause.why) {
    case 'silence':
      return `no advert for ${cause.silent_ms} ms`;
    case 'better_advert':
      return `better advert from ${cause.from} (${compared(cause.by, cause.heard, cause.own)})`;
    case 'worse_advert': {
      const all = cause.together ? ', together with the other vhids' : '';
      return `worse advert from ${cause.from} (${compared(cause.by, cause.own, cause.heard)})${all}`;
    }
    case 'equal_adverts':
      return `equal adverts from ${cause.from} go on: it does not hear this node`;
    case 'bow_out':
      return `peer bowed out (${cause.from})`;
    case 'peer_link_down':
      return `peer says its link is down on ${cause.interface}`;
    case 'peer_dead':
    case 'peer_lives':
    case 'no_path':
      return probeText(cause);
    case 'slept': {
      const limit = cause.limit_ms === null ? 'the peer waits' : `master-down time ${cause.limit_ms} ms`;
      return `slept ${cause.slept_ms} ms, longer than ${limit}`;
    }
    case 'link':
      return linkText(cause);
    case 'address_fault':
      return cause.fault;
    case 'stopped':
      return cause.left.length === 0 ? 'stopped' : `stopped: ${nobodyTook(cause.left)}`;
    case 'nobody_took':
      return nobodyTook(cause.left);
    default:
      return otherText(cause);
  }
}

type Other = Exclude<
  Cause,
  { why: Simple } | ProbeCause | { why: 'nobody_took' } | Exclude<RoleCause, { why: 'none' }>
>;

function otherText(cause: Other): string {
  switch (cause.why) {
    case 'rival':
      return `${cause.from} advertises as master too`;
    case 'rival_silent':
      return `${cause.from} no longer advertises`;
    case 'split_healed':
      return `split healed: ${cause.from} no longer advertises`;
    case 'silent_but_master':
      return `no advert for ${cause.silent_ms} ms on ${cause.interface}, but the peer says over the sync link that it is MASTER`;
    case 'both_master':
      return `the peer says it is MASTER too (${timers(cause.heard)}, here ${timers(cause.own)}), but it is not heard on ${cause.interface}`;
    case 'one_family':
      return `adverts arrive over IPv${cause.heard} only: IPv${cause.silent} multicast is lost on ${cause.interface}`;
    case 'deaf_rival':
      return `${cause.from} goes on as a worse master: it does not hear this node's adverts on ${cause.interface}`;
    case 'denied_bow_out':
      return `a bow-out, but the peer says that it is ${cause.is}`;
    case 'denied_role':
      return `the peer says that it is ${cause.is}`;
    case 'denied_timers':
      return `it says ${demoted(cause.heard)}, the peer says that it sends ${demoted(cause.said)}`;
    case 'own_reason':
      return `the demotion reason ${cause.reason} belongs to the node itself`;
    case 'no_such_reason':
      return `there is no demotion with the reason ${cause.reason}`;
    case 'bad_weight':
      return `demotion weight ${cause.weight}: expected a whole number from -${cause.most} to ${cause.most}`;
    case 'too_many':
      return `there are ${cause.most} demotion reasons already; take one away first`;
  }
}

const on = ({ vhid, interface: role }: { vhid: number | null; interface: string }): string =>
  vhid === null ? `on ${role}` : `vhid ${vhid} on ${role}`;
const because = (reason: string | null): string => (reason === null ? '' : `: ${reason}`);

function refusedSentence(event: Extract<NodeEvent, { kind: 'carp.refused' }>): string {
  if (event.counter === undefined) return `demotion refused: ${causeText(event.cause)}`;
  const from = event.from === null ? '' : ` from ${event.from}`;
  return `${on(event)}: packet${from} refused (${event.counter})${because(event.cause === undefined ? null : causeText(event.cause))}`;
}

function linkSentence(event: Extract<NodeEvent, { kind: 'carp.link' }>): string {
  const { interface: role, present, usable, hold_ms, flaps } = event;
  if (!present) return `interface ${role} is gone`;
  if (usable) return `link on ${role} is up`;
  return event.up ? `link on ${role} is back, used in ${hold_ms} ms (${flaps} flaps)` : `link on ${role} is down`;
}

function carpSentence(event: Extract<NodeEvent, { kind: `carp.${string}` }>): string {
  switch (event.kind) {
    case 'carp.state':
      return `${on(event)}: ${event.from} -> ${event.to} (${causeText(event.cause)})`;
    case 'carp.demotion': {
      const what = event.weight === null ? 'is over' : `weighs ${event.weight}`;
      return `demotion ${event.reason} ${what}, ${event.total} in all`;
    }
    case 'carp.maintenance':
      return `maintenance ${event.on ? 'on' : 'off'}, ${event.done ? 'done' : 'NOT done'}: ${causeText(event.cause)}`;
    case 'carp.refused':
      return refusedSentence(event);
    case 'carp.link':
      return linkSentence(event);
    case 'carp.multicast_back':
      return `${on(event)}: adverts from ${event.from} arrive again`;
    case 'carp.proof':
      return event.on
        ? 'the peer proves its adverts: from now on one that proves nothing is refused'
        : 'the peer does not prove its adverts any more';
    case 'carp.stall':
      return `this node did not run for ${event.slept_ms} ms`;
    case 'carp.announced':
      return `${on(event)}: addresses announced (${causeText(event.cause)})`;
    case 'carp.dual_master_healed':
      return `${on(event)}: the second master ${event.from} is over (${causeText(event.cause)})`;
    case 'carp.dual_master':
      return `${on(event)}: two masters for ${event.for_ms} ms: ${causeText(event.cause)}`;
    case 'carp.diagnosis':
      return `${on(event)}: ${event.over ? 'over: ' : ''}${event.reason}`;
    case 'carp.multicast_lost':
    case 'carp.family_silent':
      return `${on(event)}: ${causeText(event.cause)}`;
  }
}

function syncSentence(event: Extract<NodeEvent, { kind: `sync.${string}` | `peer.${string}` }>): string {
  switch (event.kind) {
    case 'peer.dead':
      return `the peer is dead: ${causeText(event.cause)}`;
    case 'peer.undecided':
    case 'sync.link_down_peer_alive':
      return causeText(event.cause);
    case 'peer.channel':
      return event.up
        ? `peer channel to ${event.node} is open (version ${event.version})`
        : `peer channel is closed: ${event.reason}`;
    case 'peer.refused':
      return `peer channel: ${event.from} refused (${event.cause}): ${event.reason}`;
    case 'sync.session':
      return 'a sync session with the peer has begun';
    case 'sync.peer':
      return event.alive ? 'the peer is heard on the sync link' : event.reason;
    case 'sync.in_step': {
      const step = event.in_step === null ? 'not known to be in step' : event.in_step ? 'in step' : 'NOT in step';
      return `${step}${because(event.reason)}`;
    }
    case 'sync.adopt':
      return `${event.states} states adopted: ${event.reason}`;
    case 'sync.mismatch':
      return `the digests of ${event.count} mirrored states differ`;
    case 'sync.repaired':
      return `repaired: ${event.differences} differences, ${event.bytes} bytes, ${event.ms} ms`;
    case 'sync.overrun':
      return `kernel events were lost (${event.overruns} times so far): the table is read again`;
    case 'sync.too_long':
      return `${event.device} refuses datagrams of ${event.bytes} bytes; [sync] mtu says ${event.mtu}`;
    case 'sync.defer':
      return `defer is ${event.on ? 'on' : 'off'}${because(event.reason)}`;
    case 'sync.key':
      return `pair key: ${event.reason ?? event.state}`;
  }
}

type NodesOwn = Extract<NodeEvent, { kind: `node.${string}` | `replicate.${string}` | `firewall.${string}` }>;

function nodeSentence(event: NodesOwn): string {
  switch (event.kind) {
    case 'firewall.lost':
      return `another program has removed or changed nftables rules of carpio: ${event.tables.join(', ')}`;
    case 'firewall.setting': {
      const done = event.error === null ? `it is ${event.value} again` : `it must be ${event.value}: ${event.error}`;
      return `another program has set ${event.name} to ${event.found}; ${done}`;
    }
    case 'firewall.back':
      return `nftables rules put back after ${event.ms} ms: ${event.tables.join(', ')}`;
    case 'firewall.failed':
      return `nftables rules cannot be put back (${event.tables.join(', ')}): ${event.reason}`;
    case 'node.start':
      return `started, version ${event.version}`;
    case 'node.reload':
      return 'configuration reloaded';
    case 'node.stop':
      return `stopped${event.clean ? '' : ', not handed over cleanly'}: ${causeText(event.cause)}`;
    case 'replicate.applied':
      return `the configuration of ${event.from ?? 'the peer'} is in force`;
    case 'replicate.rolled_back':
      return `replication rolled back: ${event.reason}`;
    case 'replicate.refused':
      return `replication refused: ${event.reason}`;
    case 'replicate.pushed':
      return `configuration pushed (${event.changes} changes, ${event.ms} ms): ${event.reason}`;
    case 'replicate.drift':
      return `configuration of ${event.node}: ${event.reason}`;
    case 'replicate.same':
      return `both nodes have ${event.same ? 'the same configuration' : 'DIFFERENT configurations'}${because(event.reason)}`;
  }
}

/** One sentence for an event. */
export function sentence(event: NodeEvent): string {
  if (isOf(event, 'carp.')) return carpSentence(event);
  if (isOf(event, 'sync.') || isOf(event, 'peer.')) return syncSentence(event);
  return nodeSentence(event as NodesOwn);
}

function isOf<P extends string>(event: NodeEvent, prefix: P): event is Extract<NodeEvent, { kind: `${P}${string}` }> {
  return event.kind.startsWith(prefix);
}

/** The event with its words, as it leaves the node. */
export function tell(event: NodeEvent): ToldEvent {
  const told: ToldEvent = { ...(event as { kind: string }) };
  const cause = 'cause' in event ? event.cause : undefined;
  // The cause of peer.refused is the name of a counter, and its reason is there already.
  if (cause !== undefined && typeof cause !== 'string') told.reason = causeText(cause);
  return { ...told, text: sentence(event) };
}

/** A told event in one line. One without `text` came from a node of another version: its fields must do. */
export function toldLine({ text, ...event }: ToldEvent): string {
  if (typeof text === 'string') return text;
  const { kind, ...fields } = event;
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value as Json)}`);
  return [kind, ...parts].join(' ');
}

/** How loud an event is in the log: an error is trouble for users, a warning will be. */
export function levelOf(event: NodeEvent): 'info' | 'warning' | 'error' {
  switch (event.kind) {
    case 'carp.diagnosis':
      return event.over ? 'info' : DIAGNOSIS_SEVERITY[event.what];
    case 'carp.dual_master':
    case 'carp.multicast_lost':
    case 'firewall.lost':
    case 'firewall.failed':
    case 'peer.dead':
      return 'error';
    case 'carp.demotion':
      return event.weight !== null && /^no_ipv[46]:/.test(event.reason) ? 'error' : 'info';
    case 'carp.family_silent':
    case 'carp.stall':
    case 'peer.undecided':
    case 'sync.link_down_peer_alive':
    case 'sync.overrun':
    case 'sync.too_long':
    case 'firewall.back':
    case 'firewall.setting':
    case 'replicate.rolled_back':
    case 'replicate.refused':
      return 'warning';
    case 'carp.maintenance':
      return event.done ? 'info' : 'warning';
    case 'sync.peer':
      return event.alive ? 'info' : 'warning';
    case 'replicate.drift':
      return event.over ? 'info' : 'warning';
    case 'replicate.same':
      return event.same ? 'info' : 'warning';
    case 'node.stop':
      return event.clean ? 'info' : 'warning';
    default:
      return 'info';
  }
}

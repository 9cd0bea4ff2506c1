/** The checks of a running node and of what it and its peer see of each other. Pure, but for asking it. */
import type { Config } from '../../config/types.ts';
import type { PeerCheck, SideCheck } from '../../contract/peer-check.ts';
import type { NodeStatus } from '../../contract/status.ts';
import type { Json } from '../../contract/values.ts';
import { VERSION } from '../../contract/version.ts';
import { ControlError, callControl } from '../control-client.ts';
import { asObject } from '../node-call.ts';
import { duration } from '../text.ts';
import { error, type Finding, ok, warning } from './finding.ts';
import { mtuFinding } from './network.ts';
import type { NodeFacts } from './system-facts.ts';

/** The node measures on the sync link and asks its peer to do the same, ms. */
const PEER_CHECK_MS = 15_000;
/** Clocks that differ by more make logs of the two unreadable beside each other, ms. */
const CLOCK_TOLERANCE = 1000;

/** `null`: no node runs there, or it may not be asked; then the machine alone is checked. */
export async function askRunningNode(socket: string): Promise<NodeFacts | null> {
  let status: NodeStatus;
  try {
    status = asObject<NodeStatus>(await callControl(socket, 'status'));
  } catch {
    return null;
  }
  try {
    const peer: Json = await callControl(socket, 'peer-check', {}, { timeoutMs: PEER_CHECK_MS });
    return { socket, status, peer: asObject<PeerCheck>(peer), why: null };
  } catch (trouble) {
    const why = trouble instanceof ControlError ? trouble.message : String(trouble);
    return { socket, status, peer: null, why };
  }
}

export function checkNode({ socket, status, peer, why }: NodeFacts, config: Config): Finding[] {
  return [
    checkRunning(socket, status, config),
    ...checkTroubles(status),
    ...checkHeard(status, config),
    ...checkReplication(status),
    ...(peer === null ? notAsked(why, config) : checkPeerSide(peer)),
  ];
}

function checkRunning(socket: string, status: NodeStatus, config: Config): Finding {
  const topic = 'running node';
  const name = `${status.node}, carpio ${status.version}, ${status.role}`;
  if (status.version !== VERSION) {
    return warning(topic, `${name}; this program is carpio ${VERSION}`, 'restart the service', { where: socket });
  }
  const has = status.carp.vips.map(({ vhid, addresses }) => `${vhid} ${[...addresses].sort().join(' ')}`).sort();
  const file = config.vip.map(({ vhid, addresses }) => `${vhid} ${[...addresses].sort().join(' ')}`).sort();
  // A replica has those of the source, whatever its own file says.
  if (has.join() !== file.join() && status.replicate?.role !== 'replica') {
    const found = `${name}; its vhids are not those of the file`;
    return warning(topic, found, 'reload it: kill -HUP, or systemctl reload carpio', { where: socket });
  }
  return ok(topic, name, { where: socket });
}

/** What the node itself calls wrong now. */
function checkTroubles({ trouble }: NodeStatus): Finding[] {
  return (trouble ?? []).map(({ severity, what, where, text, mend, since }) => {
    const found = `${text} (since ${since})`;
    return severity === 'error' ? error(what, found, mend, { where }) : warning(what, found, mend, { where });
  });
}

/** What the node has counted and noticed. */
function checkHeard(status: NodeStatus, config: Config): Finding[] {
  const found: Finding[] = [];
  const { badauth = 0 } = status.carp.counters;
  // The counter never falls: once what it counted is over, it is history.
  if (badauth > 0 && status.trouble === undefined) {
    const mend = 'the same password and the same addresses on both boxes; carpio status names the vhid';
    found.push(warning('adverts', `${badauth} with another password or address list since the start`, mend));
  }
  // A node that names its troubles has named these already.
  for (const { reason, weight } of status.trouble === undefined ? status.carp.demotion.reasons : []) {
    found.push(
      warning('demotion', `${reason} (${weight}): this node stands back`, 'mend its cause, or carpio undemote'),
    );
  }
  const { sync } = status;
  if (sync === null || config.sync === null) return found;
  if (sync.key_reason) found.push(warning('pair key', sync.key_reason, 'carpio pair makes one for both'));
  if (!sync.peer.alive) {
    const mend = 'is carpio running there, with the same key? the cable, the address, protocol 240 on the way';
    found.push(warning('sync peer', `nothing is heard of it on the sync link`, mend));
    return found;
  }
  const heard = `${sync.peer.node ?? '?'} heard ${duration(sync.peer.heard_ms_ago ?? 0)} ago, ${sync.peer.role ?? '?'}`;
  if (sync.in_step === true) found.push(ok('sync peer', `${heard}; ${sync.states.total} states in step`));
  else
    found.push(
      warning('sync peer', `${heard}; not in step: ${sync.in_step_reason ?? 'not compared yet'}`, 'carpio verify'),
    );
  return found;
}

/** What replication has found by itself. */
function checkReplication({ replicate }: NodeStatus): Finding[] {
  if (!replicate) return [];
  const topic = 'replication';
  const { role, from, same, reason, differs, drift, peer_drift, unknown } = replicate;
  const found: Finding[] = [];
  const first = (lines: readonly string[]) => `${lines[0]}${lines.length > 1 ? `, and ${lines.length - 1} more` : ''}`;
  if (same === false) {
    const what = differs.length > 0 ? first(differs) : (reason ?? 'the two differ');
    found.push(warning(topic, `not the same as on the peer: ${what}`, `carpio replicate plan on ${from}, then push`));
  }
  if (drift.length > 0) {
    const mend = 'somebody changed rules or addresses by hand: put it into the files, or reload';
    found.push(warning('drift', `this kernel differs from the configuration: ${first(drift)}`, mend));
  }
  if (peer_drift.length > 0) {
    found.push(
      warning('drift', `the peer's kernel differs from its configuration: ${first(peer_drift)}`, 'look there'),
    );
  }
  if (unknown.length > 0) {
    const what = `${from} shares keys that this version does not know: ${unknown.join(', ')}`;
    found.push(warning(topic, what, 'the same version on both'));
  }
  const asked = same === null ? `; ${reason ?? 'not compared yet'}` : '';
  if (found.length === 0) found.push(ok(topic, `${role}, from ${from}${asked}`));
  return found;
}

function notAsked(why: string | null, config: Config): Finding[] {
  const topic = 'peer';
  if (config.sync === null) return [];
  if (config.sync.key === null) {
    return [warning(topic, 'cannot be asked without a pair key', 'carpio pair makes one')];
  }
  return [warning(topic, `could not be asked: ${why ?? 'no channel to it'}`, 'mend the sync link first')];
}

function checkPeerSide(check: PeerCheck): Finding[] {
  const { own, peer } = check;
  if (peer === null) {
    const mend = 'is carpio running there, with the same key file?';
    return [
      warning('peer', `could not be asked: ${check.reason ?? 'no channel to it'}`, mend),
      ...mtuWay(own, 'the peer'),
    ];
  }
  return [
    checkVersions(own, peer),
    ...checkClocks(check, peer),
    ...checkBothWays(own, peer),
    ...mtuWay(own, peer.node),
    ...mtuWay(peer, own.node),
    ...checkShared(own, peer),
    ...checkPasswords(check, peer),
    ...multicastWay(own, peer.node),
    ...multicastWay(peer, own.node),
  ];
}

function checkVersions(own: SideCheck, peer: SideCheck): Finding {
  const where = peer.node;
  if (own.version === peer.version)
    return ok('peer', `${peer.node} answers, carpio ${peer.version} as here`, { where });
  const found = `${peer.node} runs carpio ${peer.version}, this node ${own.version}`;
  return warning('peer', found, 'fine for an update; then the same version on both', { where });
}

function checkClocks({ clock }: PeerCheck, peer: SideCheck): Finding[] {
  if (clock === null) return [];
  const { ahead_ms: ahead, rtt_ms: rtt } = clock;
  const text = `${peer.node} is ${duration(Math.abs(ahead))} ${ahead < 0 ? 'behind' : 'ahead'} (± ${duration(rtt / 2)})`;
  if (Math.abs(ahead) <= CLOCK_TOLERANCE + rtt / 2) return [ok('clocks', text)];
  const mend = 'let a clock service run on both (chrony, timesyncd): logs of the two cannot be laid beside each other';
  return [warning('clocks', text, mend, { where: peer.node })];
}

function checkBothWays(own: SideCheck, peer: SideCheck): Finding[] {
  const deaf = [own, peer].filter((side) => !side.sync_heard);
  if (deaf.length === 0) return [ok('sync link', 'heard in both directions')];
  return deaf.map(({ node }) =>
    error('sync link', `${node} does not hear protocol 240 from the other`, 'a rule or a switch on the way drops it', {
      where: node,
    }),
  );
}

function mtuWay({ node, mtu }: SideCheck, to: string): Finding[] {
  const topic = 'sync mtu';
  const way = `from ${node} to ${to}`;
  if (mtu.largest === null) {
    const mend = 'let ping in on the sync link; carpio init writes such a rule';
    return [warning(topic, `could not be measured ${way}: no answer to ping`, mend, { where: node })];
  }
  const short = mtuFinding(topic, way, mtu.largest, mtu.configured, node);
  return [short ?? ok(topic, `packets of ${mtu.configured} bytes pass ${way}`, { where: node })];
}

const PARTS: Readonly<Record<string, string>> = {
  vip: 'the virtual addresses, or their timers and modes',
  track: 'what is tracked',
  rules: 'the rules file',
  policy: 'what is synced, or preempt',
};

function checkShared(own: SideCheck, peer: SideCheck): Finding[] {
  const parts = Object.keys(own.shared).filter((part) => peer.shared[part] !== undefined);
  const differ = parts.filter((part) => own.shared[part] !== peer.shared[part]);
  if (differ.length === 0) return [ok('shared configuration', `the same on both (${parts.join(', ')})`)];
  return differ.map((part) =>
    warning(
      'shared configuration',
      `${PARTS[part] ?? part} differ from those of ${peer.node}`,
      'carpio replicate plan shows how; push brings them to the other box',
      { where: peer.node },
    ),
  );
}

function checkPasswords({ passwords }: PeerCheck, peer: SideCheck): Finding[] {
  const entries = Object.entries(passwords);
  if (entries.length > 0 && entries.every(([, same]) => same === true)) {
    return [ok('passwords', `the same on both, ${entries.length} vhids`)];
  }
  return entries.flatMap(([vhid, same]) => {
    const topic = `vhid ${vhid}`;
    if (same === true) return [];
    if (same === null) {
      return [warning(topic, 'is on one of the two boxes only', 'the same vhids on both', { where: peer.node })];
    }
    const mend = 'write the same password, or the same password_file, on both; else both become master';
    return [error(topic, `has another password on ${peer.node}`, mend, { where: peer.node })];
  });
}

function multicastWay({ node, multicast }: SideCheck, to: string): Finding[] {
  return Object.entries(multicast).flatMap(([role, heard]) => {
    const topic = `multicast on ${role}`;
    if (heard === null) return [];
    if (heard) return [ok(topic, `${to} hears ${node}`, { where: node })];
    const mend =
      'the switch eats 224.0.0.18 (IGMP snooping without a querier), or the ports are not in one segment; or peers in [[vip]]';
    return [
      error(topic, `${to} does not hear ${node}: should the sync link fail too, both become master`, mend, {
        where: node,
      }),
    ];
  });
}

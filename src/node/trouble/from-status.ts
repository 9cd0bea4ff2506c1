/** Troubles that are conditions: whoever looks at the status can tell that they hold. Pure. */
import type { NodeStatus, SyncStatus } from '../../contract/status.ts';
import type { Opening } from './from-events.ts';

/** A node that has just started knows little, and it is not trouble: s. */
const SETTLED_S = 10;
/** Demotions that an admin asked for, or that have an entry of their own. */
const OWN_ENTRY: ReadonlySet<string> = new Set(['maintenance', 'sync']);

export function conditionsOf(status: NodeStatus): Opening[] {
  return [
    ...vipConditions(status),
    ...demotionConditions(status),
    ...syncConditions(status),
    ...sharedConditions(status),
  ];
}

function vipConditions({ carp }: NodeStatus): Opening[] {
  return carp.vips
    .filter(({ state }) => state === 'INIT')
    .map(({ vhid, interface: role, reason }) => ({
      ...{ key: `init ${vhid} ${role}`, what: 'vip_init', where: `vhid ${vhid} on ${role}`, severity: 'error' },
      ...{ text: `vhid ${vhid} on ${role} takes no part: ${reason}`, mend: `carpio check; the interface ${role}` },
    }));
}

/** `no_ipv4:lan`, see carp/standing.ts */
const NO_ADDRESS = /^no_ipv([46]):(.*)$/;

function noAddress(reason: string): Opening[] {
  const [, family, role = ''] = NO_ADDRESS.exec(reason) ?? [];
  if (family === undefined) return [];
  const own = family === '4' ? 'own IPv4' : 'own link-local IPv6';
  const text = `${role} has no ${own} address, so its vhids do not advertise over IPv${family}; this node stands back`;
  const mend = `give the device of ${role} its ${own} address again; carpio goes on by itself`;
  return [{ key: `demoted ${reason}`, what: 'no_address', where: role, severity: 'error', text, mend }];
}

function demotionConditions({ carp }: NodeStatus): Opening[] {
  const { reasons } = carp.demotion;
  const others: Opening[] = reasons
    .filter(({ reason }) => !OWN_ENTRY.has(reason) && !NO_ADDRESS.test(reason))
    .map(({ reason, weight }) => ({
      ...{ key: `demoted ${reason}`, what: 'demoted', where: reason, severity: 'warning' },
      ...{
        text: `this node stands back by ${weight}: ${reason}`,
        mend: `mend its cause, or carpio undemote '${reason}'`,
      },
    }));
  return [...others, ...reasons.flatMap(({ reason }) => noAddress(reason))];
}

/** ms in words, one digit. */
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function syncConditions(status: NodeStatus): Opening[] {
  const { sync } = status;
  if (sync === null) return [];
  const found: Opening[] = [];
  if (!sync.peer.alive) {
    if (status.uptime_s > SETTLED_S) found.push(silentPeer(status, sync));
    return found;
  }
  if (sync.in_step === false) {
    const text = `the tables of the pair differ: ${sync.in_step_reason ?? 'no reason known'}`;
    const mend = 'it is being repaired; carpio verify proves the end of it';
    found.push({ key: 'step', what: 'not_in_step', where: 'sync', severity: 'warning', text, mend });
  }
  if (sync.key_reason) {
    const mend = 'carpio pair makes one key for both';
    found.push({ key: 'key', what: 'pair_key', where: 'sync', severity: 'warning', text: sync.key_reason, mend });
  }
  if (status.channel && status.channel.state !== 'open' && status.uptime_s > SETTLED_S) {
    const text = `the peer channel is down: ${status.channel.reason ?? status.channel.state}`;
    const mend = `TCP port ${status.channel.port} on the sync link, the same pair key on both`;
    found.push({ key: 'channel', what: 'channel_down', where: 'sync', severity: 'warning', text, mend });
  }
  return found;
}

/** A dead sync link and a dead box look the same on the sync link; adverts on the service networks tell them apart. */
function silentPeer(status: NodeStatus, sync: SyncStatus): Opening {
  const name = sync.peer.node ?? sync.peer.address ?? 'the peer';
  const ago = sync.peer.heard_ms_ago;
  const silent =
    ago === null
      ? `${name} was never heard on the sync link`
      : `${name} is silent on the sync link for ${seconds(ago)}`;
  const seen = status.carp.vips
    .flatMap(({ heard, takeover_ms, interface: role }) => (heard === null ? [] : [{ ...heard, takeover_ms, role }]))
    .filter(({ ms_ago, takeover_ms }) => ms_ago < takeover_ms)
    .sort((a, b) => a.ms_ago - b.ms_ago)[0];
  const lost = 'connections made since then are not mirrored';
  if (seen !== undefined) {
    const text = `${silent}, but lives: seen on ${seen.role} ${seconds(seen.ms_ago)} ago; ${lost}`;
    const mend = 'the sync cable, its device, protocol 240 on the way, the pair key';
    return { key: 'peer', what: 'sync_link_down', where: 'sync', severity: 'error', text, mend };
  }
  const mend = 'look at that box: power, carpio running, cables; this one leads alone';
  return { key: 'peer', what: 'peer_silent', where: name, severity: 'error', text: `${silent}; ${lost}`, mend };
}

function sharedConditions({ replicate }: NodeStatus): Opening[] {
  if (!replicate) return [];
  const found: Opening[] = [];
  const add = (what: string, where: string, text: string, mend: string): void =>
    void found.push({ key: `${what} ${where}`, what, where, severity: 'warning', text, mend });
  const first = (lines: readonly string[]): string =>
    `${lines[0]}${lines.length > 1 ? `, and ${lines.length - 1} more` : ''}`;
  if (replicate.same === false) {
    const text = `the boxes do not share one configuration: ${replicate.reason ?? first(replicate.differs)}`;
    add('not_the_same', 'configuration', text, `carpio replicate plan on ${replicate.from}, then push`);
  }
  if (replicate.drift.length > 0) {
    const text = `this kernel differs from the configuration: ${first(replicate.drift)}`;
    add('drift', 'here', text, 'put what was changed by hand into the files, or reload');
  }
  if (replicate.peer_drift.length > 0) {
    add(
      'drift',
      'peer',
      `the peer's kernel differs from its configuration: ${first(replicate.peer_drift)}`,
      'look there',
    );
  }
  return found;
}

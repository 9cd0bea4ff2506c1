/**
 * The rules of the other sections that need more than one key: [[track]], [sync], [feed], [replicate], [interfaces].
 */

import { equalAddress, parseAddress, parseCidr } from '../net/cidr.ts';
import { formatListen } from '../net/listen-address.ts';
import { acceptNetworks, acceptSides } from './accept.ts';
import { unknownRole } from './check-vips.ts';
import { deviceOf } from './devices.ts';
import { parseListen } from './listen.ts';
import { quote } from './problem.ts';
import type { Report } from './report.ts';
import type { RawConfig } from './schema.ts';
import type { TrackConfig } from './types.ts';

type RawTrack = RawConfig['track'][number];

/** IPv6 asks every link for this much (RFC 8200, section 5). */
const MIN_MTU_V6 = 1280;

const KEYS_OF_KIND: Record<RawTrack['kind'], { needs: 'interface' | 'path'; may: string[] }> = {
  link: { needs: 'interface', may: [] },
  script: { needs: 'path', may: ['interval', 'timeout'] },
  file: { needs: 'path', may: ['interval'] },
};

function trackName(track: RawTrack): string {
  if (track.name !== null) return track.name;
  if (track.kind === 'link') return `link ${track.interface}`;
  return `${track.kind} ${track.path?.split('/').at(-1)}`;
}

/** Fills in what depends on the kind, or reports what does not fit it. */
function checkTrack(track: RawTrack, index: number, config: RawConfig, report: Report): TrackConfig | null {
  const { needs, may } = KEYS_OF_KIND[track.kind];
  let good = true;
  for (const key of ['interface', 'path', 'interval', 'timeout'] as const) {
    const path = ['track', index, key];
    const wrong =
      key === needs
        ? track[key] === null && `found nothing, needed for kind "${track.kind}"`
        : track[key] !== null && !may.includes(key) && `found ${track[key]}, not allowed for kind "${track.kind}"`;
    if (wrong) {
      report.error(path, wrong);
      good = false;
    }
  }
  if (!good) return null;
  const name = trackName(track);
  const { weight } = track;
  if (track.kind === 'link') {
    const role = track.interface!;
    if (deviceOf(config.interfaces, role) !== null) return { kind: 'link', name, weight, interface: role };
    report.error(['track', index, 'interface'], unknownRole(role, config.interfaces));
    return null;
  }
  if (track.kind === 'file') return { kind: 'file', name, weight, path: track.path!, interval: track.interval ?? 1 };
  const interval = track.interval ?? 5;
  return { kind: 'script', name, weight, path: track.path!, interval, timeout: track.timeout ?? 3 };
}

export function checkTracks(config: RawConfig, report: Report): TrackConfig[] {
  const names = new Map<string, number>();
  const tracks: TrackConfig[] = [];
  config.track.forEach((raw, index) => {
    const track = checkTrack(raw, index, config, report);
    if (!track) return;
    const other = names.get(track.name);
    if (other !== undefined) {
      const text = `its reason would be called ${quote(track.name)}, as that of track[${other}] already is; give it a name`;
      report.error(['track', index, 'name'], text);
    } else names.set(track.name, index);
    tracks.push(track);
  });
  return tracks;
}

function checkAccept(accept: readonly string[], config: RawConfig, report: Report): void {
  // A virtual address without an interface may turn out to be of any role.
  const open = config.vip.some((vip) => vip.interface === null);
  accept.forEach((text, index) => {
    for (const side of acceptSides(text) ?? []) {
      if (acceptNetworks(side, config.vip) !== null) continue;
      const role = deviceOf(config.interfaces, side) !== null;
      if (role && open) continue;
      const why = role ? 'a role without virtual addresses: write its network' : unknownRole(side, config.interfaces);
      const what = role ? `found ${quote(side)}, ${why}` : `${why}; or a network, an address, "any"`;
      report.error(['sync', 'accept', index], what);
    }
  });
}

export function checkSync(config: RawConfig, report: Report): void {
  const { sync } = config;
  if (!sync) return;
  const device = deviceOf(config.interfaces, sync.interface);
  if (device === null) report.error(['sync', 'interface'], unknownRole(sync.interface, config.interfaces));
  const shared = Object.entries(config.interfaces).find(([role, other]) => role !== sync.interface && other === device);
  if (shared)
    report.warn(
      ['sync', 'interface'],
      `${sync.interface} and ${shared[0]} are both ${device}: the states cross that network`,
    );
  const peer = sync.peer === null ? null : parseAddress(sync.peer);
  if (peer?.family === 6 && sync.mtu < MIN_MTU_V6) {
    report.error(['sync', 'mtu'], `found ${sync.mtu}, allowed at least ${MIN_MTU_V6} when the peer's address is IPv6`);
  }
  const virtual = config.vip.flatMap((vip) => vip.addresses).map((text) => parseCidr(text));
  if (peer && virtual.some((address) => address && equalAddress(address, peer))) {
    report.error(
      ['sync', 'peer'],
      `found ${sync.peer}, a virtual address, allowed the peer's own address on the sync link`,
    );
  }
  if (sync.key_file === null && sync.key_file_old !== null) {
    report.error(
      ['sync', 'key_file_old'],
      'found without key_file: name the new key there, or the old one if it stays',
    );
  }
  if (sync.dialect === 'carpio' && sync.key_file === null) {
    report.warn(['sync'], 'sync is open: whoever is on that link can read and change the states; set key_file');
  }
  checkAccept(sync.accept, config, report);
  if (sync.dialect !== 'carpio' && sync.key_file !== null) {
    report.warn(['sync', 'key_file'], `not used: the dialect "${sync.dialect}" knows no seal, so sync is open`);
  }
}

export function checkFeed(config: RawConfig, report: Report): void {
  const { feed } = config;
  if (!feed) return;
  const seen = new Map<string, number>();
  feed.listen.forEach((text, i) => {
    const listen = parseListen(text);
    if (!listen) return;
    const name = formatListen(listen, listen.kind === 'tcp' ? listen.port : 0);
    const path = ['feed', 'listen', i];
    if (seen.has(name)) report.error(path, `found ${text} twice, allowed each address once`);
    seen.set(name, i);
    if (listen.local) return;
    if (feed.token_file === null) {
      report.error(path, `found ${text}, which is not loopback, allowed only with token_file`);
    } else if (feed.tls === null) {
      report.warn(path, `${text} is reachable from outside without tls: the token crosses the network in clear`);
    }
  });
}

export function checkReplicate(config: RawConfig, report: Report): void {
  if (config.replicate && !config.sync?.key_file) {
    report.warn(['replicate'], 'needs the sealed channel to the peer: set [sync] key_file');
  }
}

export function checkInterfaces(config: RawConfig, report: Report): void {
  if (Object.keys(config.interfaces).length === 0) {
    report.error(['interfaces'], 'found no role, allowed at least one, as in wan = "eth0"');
  }
}

/**
 * Host settings as the files of systemd-networkd, -resolved, -timesyncd and rsyslog. Pure: settings in, path and text
 * out.
 */
import { syslogTarget } from '../config/listen.ts';
import type { HostSettings, PortSettings } from './host-settings.ts';
import { SAFE_ADDRESS, SAFE_PORT } from './safe-mode.ts';

const section = (name: string, lines: readonly string[]) =>
  lines.length === 0 ? '' : `[${name}]\n${lines.join('\n')}\n`;

function routesOf(name: string, port: PortSettings, settings: HostSettings): string {
  const gateways = port.gateway.map((via) => section('Route', [`Gateway=${via}`]));
  const others = settings.route
    .filter((route) => route.port === name)
    .map(({ to, via }) => section('Route', [...(to === 'default' ? [] : [`Destination=${to}`]), `Gateway=${via}`]));
  return [...gateways, ...others].join('');
}

/** `port1` of `port1.20`; null for a port that is no VLAN. */
const trunkOf = (name: string): string | null => (name.includes('.') ? name.split('.')[0]! : null);

function networkFile(name: string, port: PortSettings, vlans: readonly string[], settings: HostSettings): string {
  const network = [
    ...port.addresses.map((address) => `Address=${address}`),
    `DHCP=${port.dhcp ? 'yes' : 'no'}`,
    // An address is there before the cable is, and stays when it is pulled: the election decides, not the carrier.
    ...(port.addresses.length > 0 ? ['ConfigureWithoutCarrier=yes', 'IgnoreCarrierLoss=yes'] : []),
    `IPv6AcceptRA=${port.dhcp ? 'yes' : 'no'}`,
    ...vlans.map((vlan) => `VLAN=${vlan}`),
  ];
  const link = port.mtu === null ? [] : [`MTUBytes=${port.mtu}`];
  return (
    section('Match', [`Name=${name}`]) +
    section('Link', link) +
    section('Network', network) +
    routesOf(name, port, settings)
  );
}

/**
 * rsyslog reads the journal, from this start's first line on, and sends it as RFC 5424. A receiver that can't be
 * reached keeps at most 1000 lines waiting, so that it does not hold up the others; nothing of it is written to a disk.
 */
function syslogFile(receivers: readonly string[]): string {
  const send = receivers
    .map(syslogTarget)
    .map(
      ({ address, port }) =>
        `action(type="omfwd" protocol="udp" target="${address}" port="${port}" template="RSYSLOG_SyslogProtocol23Format" ` +
        'action.resumeRetryCount="-1" action.resumeInterval="5" ' +
        'queue.type="LinkedList" queue.size="1000" queue.timeoutEnqueue="0" queue.timeoutShutdown="100")',
    );
  const read = 'module(load="imjournal" StateFile="position" IgnoreNonValidStatefile="on")';
  return `${['global(workDirectory="/run/carpio-syslog")', read, ...send].join('\n')}\n`;
}

const NOTHING: PortSettings = { addresses: [], gateway: [], dhcp: false, mtu: null };

/** @returns path under /run and text of every file; an earlier set is not part of it and has to be removed before */
export function hostFiles(settings: HostSettings): Map<string, string> {
  const files = new Map<string, string>();
  const network = (name: string) => `systemd/network/10-${name}.network`;
  const trunks = Object.keys(settings.ports).flatMap((name) => trunkOf(name) ?? []);
  const all = new Map<string, PortSettings>(trunks.map((name) => [name, NOTHING]));
  for (const [name, port] of Object.entries(settings.ports)) all.set(name, port);
  for (const [name, port] of all) {
    const vlans = [...all.keys()].filter((other) => trunkOf(other) === name);
    files.set(network(name), networkFile(name, port, vlans, settings));
    if (trunkOf(name) === null) continue;
    files.set(
      `systemd/network/10-${name}.netdev`,
      section('NetDev', [`Name=${name}`, 'Kind=vlan']) + section('VLAN', [`Id=${name.split('.')[1]}`]),
    );
  }
  // The rest is up without an address: a port that only carries virtual addresses, or none.
  files.set('systemd/network/90-rest.network', '[Match]\nName=port*\n[Network]\nDHCP=no\nIPv6AcceptRA=no\n');
  if (settings.dns.length > 0)
    files.set('systemd/resolved.conf.d/box.conf', section('Resolve', [`DNS=${settings.dns.join(' ')}`]));
  if (settings.ntp.length > 0)
    files.set('systemd/timesyncd.conf.d/box.conf', section('Time', [`NTP=${settings.ntp.join(' ')}`]));
  // carpio-syslog.service runs only when this file is there.
  if (settings.syslog.length > 0) files.set('carpio-box/syslog.conf', syslogFile(settings.syslog));
  return files;
}

/** What a box has that was told nothing. */
export const safeSettings = (): HostSettings => ({
  hostname: null,
  password_hash: null,
  dns: [],
  ntp: [],
  syslog: [],
  route: [],
  ports: { [SAFE_PORT]: { ...NOTHING, addresses: [`${SAFE_ADDRESS}/24`] } },
});

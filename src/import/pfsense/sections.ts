/** The parts of config.xml that are not for Carpio, and why. */

import type { Outcome } from '../ledger.ts';

const OS = "the operating system's matter";
const NETWORK = "for the system's network configuration (Carpio sets virtual addresses only)";
const SERVICE = 'a service of its own on Linux; Carpio is the firewall pair';
const GUI = 'about the web pages of the old firewall';
const VPN = 'VPNs are services of their own on Linux; their interfaces can become roles';

export const SECTIONS: Readonly<Record<string, [Outcome, string]>> = {
  version: ['not needed', 'the version of the file'],
  lastchange: ['not needed', 'bookkeeping'],
  revision: ['not needed', 'bookkeeping'],
  trigger_initial_wizard: ['not needed', GUI],
  theme: ['not needed', GUI],
  widgets: ['not needed', GUI],
  sshdata: ['left out', OS],
  sysctl: ['left out', 'BSD tunables; Carpio sets those of Linux that it needs (carpio check)'],
  vlans: ['left out', NETWORK],
  qinqs: ['left out', NETWORK],
  laggs: ['left out', NETWORK],
  bridges: ['left out', NETWORK],
  bridge: ['left out', NETWORK],
  gifs: ['left out', NETWORK],
  gres: ['left out', NETWORK],
  ppps: ['left out', NETWORK],
  wireless: ['left out', NETWORK],
  gateways: ['left out', NETWORK],
  gateway_group: ['left out', NETWORK],
  staticroutes: ['left out', NETWORK],
  dhcpd: ['left out', SERVICE],
  dhcpdv6: ['left out', SERVICE],
  dhcrelay: ['left out', SERVICE],
  dhcrelay6: ['left out', SERVICE],
  kea: ['left out', SERVICE],
  dnsmasq: ['left out', SERVICE],
  unbound: ['left out', SERVICE],
  unboundplus: ['left out', SERVICE],
  dyndnses: ['left out', SERVICE],
  dnsupdates: ['left out', SERVICE],
  ntpd: ['left out', SERVICE],
  snmpd: ['left out', SERVICE],
  syslog: ['left out', SERVICE],
  cron: ['left out', SERVICE],
  igmpproxy: ['left out', SERVICE],
  captiveportal: ['left out', SERVICE],
  voucher: ['left out', SERVICE],
  monit: ['left out', SERVICE],
  wol: ['left out', SERVICE],
  upnpd: ['left out', SERVICE],
  installedpackages: ['left out', 'packages of the old firewall'],
  load_balancer: ['left out', 'load balancing is not a job of Carpio'],
  openvpn: ['left out', VPN],
  ipsec: ['left out', VPN],
  l2tp: ['left out', VPN],
  pptpd: ['left out', VPN],
  pppoe: ['left out', VPN],
  pppoes: ['left out', VPN],
  wireguard: ['left out', VPN],
  swanctl: ['left out', VPN],
  shaper: ['left out', 'traffic shaping: see tc(8)'],
  dnshaper: ['left out', 'traffic shaping: see tc(8)'],
  ezshaper: ['left out', 'traffic shaping: see tc(8)'],
  schedules: ['left out', 'rules by the clock are not translated'],
  proxyarp: ['left out', 'proxy ARP is not translated'],
  rrd: ['not needed', 'the feed and /metrics show what happens'],
  notifications: ['left out', '[hooks] on_event can call what sends your messages'],
  diag: ['not needed', GUI],
  ca: ['left out', 'certificates'],
  cert: ['left out', 'certificates'],
  crl: ['left out', 'certificates'],
  hosts: ['left out', SERVICE],
  dhcp6: ['left out', SERVICE],
  ovpnserver: ['left out', VPN],
  gateway: ['left out', NETWORK],
  switches: ['left out', NETWORK],
  OPNsense: ['left out', 'not known to the importer'],
};

/** OPNsense keeps newer parts below <OPNsense>, each in an element of its own. */
export const OPNSENSE_SECTIONS: Readonly<Record<string, [Outcome, string]>> = {
  captiveportal: ['left out', SERVICE],
  cron: ['left out', SERVICE],
  Gateways: ['left out', NETWORK],
  Netflow: ['left out', SERVICE],
  IDS: ['left out', SERVICE],
  Interfaces: ['left out', NETWORK],
  Kea: ['left out', SERVICE],
  monit: ['left out', SERVICE],
  OpenVPN: ['left out', VPN],
  OpenVPNExport: ['left out', VPN],
  IPsec: ['left out', VPN],
  Swanctl: ['left out', VPN],
  wireguard: ['left out', VPN],
  proxy: ['left out', SERVICE],
  Syslog: ['left out', SERVICE],
  TrafficShaper: ['left out', 'traffic shaping: see tc(8)'],
  unboundplus: ['left out', SERVICE],
  DHCRelay: ['left out', SERVICE],
  trust: ['left out', 'certificates'],
};

/** What stays of <system> when its host name is taken. */
export const SYSTEM_REST = OS;

/** In an interface, beside what is taken. */
export const INTERFACE_REST = NETWORK;

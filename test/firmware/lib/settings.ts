/** What the sticks of the two virtual boxes say. */
const KEY = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff';
export const TOKEN = 'firmware-test-token';
export const PASSWORD = 'firmware-test';
/** openssl passwd -6 -salt firmware firmware-test */
const HASH = '$6$firmware$tNfmC0ThUigXKZSqA7DDGpQHw0hgtFzOLkH85RSMuYwohbT15Br1AbfEqaa5VcUmTIQXvHwHMDTSXwhZLwem3/';

/** Slow adverts: an emulated box on a busy machine may sleep for seconds, which is no failure of the box. */
const ADVBASE = 8;

const RULES = `table inet firewall {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname lo accept
    icmp type echo-request accept
    iifname $lan tcp dport { 22, 8180 } accept
    iifname $sync accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname $lan oifname $wan accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname $wan snat ip to 203.0.113.1
  }
}
`;

export const ADDRESSES = { 'fw-a': '192.168.1.2', 'fw-b': '192.168.1.3' } as const;
export type BoxName = keyof typeof ADDRESSES;

export function stickFiles(name: BoxName): Record<string, string> {
  const first = name === 'fw-a';
  const own = first ? 2 : 3;
  const vip = (vhid: number, role: string, address: string) => `[[vip]]
vhid = ${vhid}
interface = "${role}"
addresses = ["${address}"]
password_file = "/etc/carpio/carp.password"
advbase = ${ADVBASE}
advskew = ${first ? 0 : 100}
`;
  const config = `[node]
name = "${name}"
[interfaces]
wan = "port1"
lan = "port2"
sync = "port3"
${vip(1, 'wan', '203.0.113.1/24')}${vip(2, 'lan', '192.168.1.1/24')}[sync]
peer = "10.99.0.${first ? 2 : 1}"
key_file = "/etc/carpio/pair.key"
[firewall]
rules = "/etc/carpio/rules.nft"
[feed]
listen = ["127.0.0.1:8180", "192.168.1.${own}:8180"]
token_file = "/etc/carpio/feed.token"
[service]
watchdog = "/dev/watchdog"
watchdog_s = 120
`;
  const host = `hostname = "${name}"
password_hash = "${HASH}"
[ports.port1]
addresses = ["203.0.113.${own}/24"]
[ports.port2]
addresses = ["192.168.1.${own}/24"]
[ports.port3]
addresses = ["10.99.0.${first ? 1 : 2}/30"]
`;
  return {
    'carpio.toml': config.replaceAll('\n', '\r\n'),
    'carpio-host.toml': host,
    'rules.nft': RULES,
    'pair.key': `${KEY}\r\n`,
    'carp.password': 'test-password\n',
    'feed.token': `${TOKEN}\n`,
  };
}

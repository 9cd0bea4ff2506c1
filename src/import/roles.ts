/** Names for interfaces. A role is a variable in the rules file, so it must not be a word of nft's own language. */

const ROLE = /^[A-Za-z][A-Za-z0-9_]{0,14}$/;

/** Words that nft 1.0.6 refuses as the name of a variable (found by trying them), beside those that no role could be. */
const NFT_WORDS = new Set(
  `accept add ah all and arp at bridge chain comment comp continue counter cpu create ct dccp define delete describe device
  devices dnat drop dscp dst dup ecn element elements eq esp ether exists expires export exthdr fib flags flow flowtable flush
  frag fwd ge goto gt handle hash hbh helper hook hour ibriport ibrname icmp icmpv6 igmp iif iifgroup iifname iiftype import
  include inet insert ip ip6 ipsec jhash jump le limit list log lshift lt map mark masquerade meta meter mh missing monitor ne
  netdev nftrace not notrack numgen obriport obrname offload oif oifgroup oifname oiftype or policy priority queue quota random
  redefine redirect reject rename replace reset return rshift rt rt0 rt2 rtclassid rule ruleset sctp secmark set size skgid snat
  socket srh symhash synproxy table tcp th time timeout tproxy type typeof udp udplite undefine vlan vmap xor xt day`
    .split(/\s+/)
    .filter((word) => word !== ''),
);

/** Can this word be a role as it is? */
export function isRole(word: string): boolean {
  return ROLE.test(word) && !NFT_WORDS.has(word.toLowerCase());
}

/** A role from any text: `LAN 2` becomes `lan_2`, `eth0.100` becomes `eth0_100`; unique among `taken`. */
export function roleFrom(text: string, taken: ReadonlySet<string>, fallback = 'if'): string {
  const word = text
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')
    .slice(0, 15);
  const base = word === '' ? fallback : isRole(word) ? word : `${word.slice(0, 12)}_if`;
  let role = base;
  for (let n = 2; taken.has(role); n++) role = `${base.slice(0, 14 - String(n).length)}_${n}`;
  return role;
}

/** A device name as the kernel and nft take it: 1 to 15 printable bytes without `/ : " \ *` and white space. */
export function isDevice(name: string): boolean {
  return /^[\x21-\x7e]{1,15}$/.test(name) && !/[/:"\\*]/.test(name) && name !== '.' && name !== '..';
}

const NODE_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

export function isNodeName(name: string): boolean {
  return NODE_NAME.test(name);
}

/**
 * Words that nft does not take as a variable's name, found by trying them on nft 1.0.6: a role is a variable in the
 * rules file (`$wan`).
 */
export const NFT_WORDS = new Set(
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

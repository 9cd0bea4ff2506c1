/** The starting rules that `carpio init` writes: a gateway with NAT, closed from outside. Pure. */

import { firstAddress, networksOf, type Plan } from './plan.ts';

function natText(plan: Plan): string {
  const outer = firstAddress(plan.wanVips, 4);
  const inner = networksOf(plan.lanVips, 4);
  if (outer === null || inner.length === 0) return '\t\t# no IPv4 on both sides: no NAT\n';
  return `\t\t# to the shared address, not to the box's own: connections through it survive a take-over
\t\toifname $wan ip saddr { ${inner.join(', ')} } snat ip to ${outer}
`;
}

function spoofText(plan: Plan): string {
  const v4 = networksOf(plan.lanVips, 4);
  const v6 = networksOf(plan.lanVips, 6);
  return [
    ...(v4.length > 0 ? [`\t\tiifname $wan ip saddr { ${v4.join(', ')} } drop`] : []),
    ...(v6.length > 0 ? [`\t\tiifname $wan ip6 saddr { ${v6.join(', ')} } drop`] : []),
  ].join('\n');
}

export function rulesText(plan: Plan): string {
  const sync =
    plan.sync === null
      ? ''
      : '\n\t\t# the other box, on the cable between the two\n\t\tiifname $sync icmp type echo-request accept\n\t\tiifname $sync tcp dport 22 accept\n';
  const example = firstAddress(plan.wanVips, 4) ?? '203.0.113.1';
  return `# Made by carpio init: a gateway with NAT. $wan, $lan … are the devices of the roles in carpio.toml; Carpio puts them in.
# Loaded in one transaction with Carpio's own table, which lets CARP adverts and state sync in by itself.
# After a change: carpio check, then reload (SIGHUP). A file that nft refuses changes nothing.

table inet firewall {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iifname "lo" accept

		# what must not come from outside
${spoofText(plan)}

		# without these there is no IPv6
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } ip6 hoplimit 255 accept

		# ping, from anywhere but not without end
		icmp type echo-request limit rate 20/second accept
		icmpv6 type echo-request limit rate 20/second accept

		# this box itself: ssh from the inner side
		iifname $lan tcp dport 22 accept
		# iifname $lan udp dport { 53, 67 } accept	# when this box serves DNS or DHCP
		# iifname $lan tcp dport 53 accept
${sync}	}

	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
${spoofText(plan)}

		# the inner side may go out
		iifname $lan oifname $wan accept

		# port forwards: what prerouting below has translated
		iifname $wan oifname $lan ct status dnat accept
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		# a port forward, to the shared address:
		# iifname $wan ip daddr ${example} tcp dport 443 dnat ip to 192.168.1.80
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
${natText(plan)}	}
}
`;
}

/**
 * What each key of carpio.toml means, for docs/configuration.md: the part of the reference that the schema cannot tell.
 * Type, range, default and whose a key is come from src/config; see config-reference.ts.
 */

interface Meaning {
  text: string;
  /** What holds when the key is left out, where the schema only says that nothing is. */
  absent?: string;
}

export const MEANINGS: Readonly<Record<string, Meaning>> = {
  'node.name': { text: "this node's name on every screen, log line and event: 1 to 63 letters, digits, `.`, `_`, `-`" },
  'node.state_dir': { text: 'what has to survive a restart (maintenance mode, for one)' },
  'node.control': {
    text: 'socket for the commands, mode 0660; at most 107 bytes. Several nodes on one kernel need different ones',
  },
  'carp.preempt': {
    text: 'a better node takes over from a worse one that is alive, all vhids together. `false`: who is master stays master',
  },
  'carp.log': { text: '0 nothing, 1 role changes and bad packets, 2 every advert' },
  'carp.peers_only': {
    text: 'the own addresses of all other hosts that may speak for the virtual addresses: adverts from others are refused. A Carpio peer with the pair key proves its adverts and needs no entry once it has; without an entry here nobody else counts then',
  },
  'vip.vhid': {
    text: 'the same on both nodes, unique on its interface; also the last byte of the virtual MAC `00:00:5e:00:01:vhid`',
  },
  'vip.interface': {
    text: 'left out: the interface whose own subnet holds the addresses; it must be exactly one',
    absent: 'by subnet',
  },
  'vip.addresses': {
    text: "IPv4 and IPv6, 1 to 128, each used once in the whole file (a link-local one, such as fe80::1, once on each interface). They enter the advert's signature, so both nodes need the same list",
  },
  'vip.password': {
    text: "at most 20 bytes; other systems' tools take 19. Exactly one of `password` and `password_file`",
  },
  'vip.password_file': { text: 'a file that holds the password' },
  'vip.advbase': { text: 'with `advskew` the time between adverts: advbase + advskew/256 s' },
  'vip.advskew': { text: 'in 1/256 s; the lower node is master. Give the two nodes different values' },
  'vip.mac': {
    text: '`virtual`: a device `carp<vhid>-<role>` with the virtual MAC holds the addresses. `physical`: they are put on the NIC and announced with its MAC, for clouds and hypervisors',
  },
  'vip.peers': {
    text: 'adverts go to these unicast addresses, one at least for each address family; empty: multicast. Never one instead of the other',
  },
  'track.kind': {
    text: '`link`: the interface has no link. `script`: the program exits with anything but 0, or takes too long. `file`: the file is there',
  },
  'track.name': { text: 'the name of the reason in status, log and events; unique', absent: 'from the rest' },
  'track.weight': { text: 'what it adds to the demotion; 240 is enough to lose every role to a healthy peer' },
  'track.interface': { text: 'whose link is watched', absent: 'needed for `link`' },
  'track.path': { text: 'the program, or the file', absent: 'needed for `script`, `file`' },
  'track.interval': { text: 'how often it is looked at; for `script`, `file`', absent: '5; `file`: 1' },
  'track.timeout': { text: 'how long a `script` may take', absent: '3' },
  'sync.interface': { text: 'the link to the peer, best a cable of its own' },
  'sync.peer': {
    text: "the peer's own address on that link; left out: found by multicast to 224.0.0.240",
    absent: 'multicast',
  },
  'sync.dialect': { text: 'the last three to sit beside a BSD box; they know no seal' },
  'sync.key_file': {
    text: "the pair's secret: at least 32 hex digits, or at least 16 raw bytes; the same file on both. Without it sync is open, and Carpio says so",
  },
  'sync.sync_when': {
    text: 'from when on a connection is synced. `answered` keeps a flood of half-open ones off the link',
  },
  'sync.accept': {
    text: 'who may have opened the connections that the peer hands over, as `"FROM to TO"`: a role (the networks of its virtual addresses), a network, an address or `any` on each side; TO is the destination after translation. Others stay out of this kernel. Empty: anybody anything. The peer may be compromised: [security.md](security.md#a-compromised-peer)',
  },
  'sync.ignore': { text: 'connections from or to these are never synced' },
  'sync.defer': {
    text: 'hold the first answer of a connection until the peer has its state; see [sync.md](sync.md#defer)',
  },
  'sync.defer_ms': { text: 'how long it is held at most; then it is forwarded, counted (`defer_late`)' },
  'sync.port': {
    text: 'TCP port of the peer channel on the sync interface, the same on both nodes; see [peer-channel.md](peer-channel.md)',
  },
  'sync.max_states': { text: 'most states kept; memory grows with what is there, not with this number' },
  'sync.mtu': { text: 'largest packet on the sync link; at least 1280 with an IPv6 peer' },
  'sync.event_buffer': {
    text: "room for connection events that wait to be read. When it overflows, events are lost: that is counted (`overruns`) and the kernel's table is read again",
  },
  'firewall.rules': { text: 'nftables rules, loaded in one transaction; may use `$wan`, `$lan` …' },
  'firewall.forward': { text: 'switch IPv4 and IPv6 forwarding on' },
  'replicate.from': {
    text: 'the node whose rules and virtual IPs are the source, the same on both nodes; see [replicate.md](replicate.md)',
  },
  'replicate.auto': { text: 'send them to the peer after every reload; `false`: only on `carpio replicate push`' },
  'feed.listen': { text: 'where page, WebSocket, `/status` and `/metrics` are served' },
  'feed.token_file': { text: 'at least 16 printable characters; needed for any address that is not loopback' },
  'feed.tls': { text: 'serve with TLS' },
  'feed.tls.cert': { text: 'certificate chain, PEM' },
  'feed.tls.key': { text: 'its key, PEM' },
  'hooks.on_event': { text: 'program that gets each event as JSON on its standard input' },
  'service.realtime': {
    text: "real-time priority (round robin) of the election's thread, so that a busy machine does not delay adverts; with 2 and more the dataplane takes priority 1, so that it does not delay states either; `0`: none. Needs CAP_SYS_NICE; without it the node says so and runs",
  },
  'service.watchdog': {
    text: 'hardware watchdog, as in `"/dev/watchdog"`: fed only while the control thread and the dataplane both turn, disarmed when the node stops as told. Not when systemd or another program feeds it',
  },
  'service.watchdog_s': {
    text: 'the watchdog resets the machine after that long without food; long enough for a restart of the service',
  },
  'service.syslog': { text: 'receivers of the log, `"address:port"`, at most 4: syslog over UDP (RFC 5424)' },
  'sync.key_file_old': {
    text: 'a key that the peer may still have, while the key is being changed: see [sync.md](sync.md#changing-the-pairs-key)',
  },
  'replicate.confirm_s': {
    text: "what was pushed goes back by itself unless the source confirms it in this time; the source's value counts",
  },
};

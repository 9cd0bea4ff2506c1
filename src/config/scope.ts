/**
 * Which keys of the configuration both nodes share, and which are a node's own. What is own never travels to the peer.
 * A key of the schema that does not stand here fails a test: whoever adds one decides.
 */

export type Scope = 'shared' | 'own';

export const SCOPES: Readonly<Record<string, Scope>> = {
  'node.name': 'own',
  'node.state_dir': 'own',
  'node.control': 'own',
  /** Roles are shared by name only: which device a role is, is each box's own. */
  interfaces: 'own',
  'carp.preempt': 'shared',
  'carp.log': 'own',
  'carp.peers_only': 'own',
  'vip.vhid': 'shared',
  'vip.interface': 'shared',
  'vip.addresses': 'shared',
  /** The pass phrase itself travels, sealed, whichever of the two keys it came from; the path of a file does not. */
  'vip.password': 'shared',
  'vip.password_file': 'own',
  'vip.advbase': 'shared',
  /** Who leads: never the same on both. */
  'vip.advskew': 'own',
  'vip.mac': 'shared',
  /** The other node's addresses. */
  'vip.peers': 'own',
  'track.kind': 'shared',
  'track.name': 'shared',
  'track.weight': 'shared',
  'track.interface': 'shared',
  'track.path': 'shared',
  'track.interval': 'shared',
  'track.timeout': 'shared',
  'sync.interface': 'own',
  'sync.peer': 'own',
  'sync.dialect': 'own',
  'sync.key_file': 'own',
  'sync.key_file_old': 'own',
  'sync.port': 'own',
  'sync.sync_when': 'shared',
  'sync.ignore': 'shared',
  /** What a box lets the other one do is its own word. */
  'sync.accept': 'own',
  'sync.defer': 'shared',
  'sync.defer_ms': 'shared',
  /** Memory and network cards differ. */
  'sync.max_states': 'own',
  'sync.mtu': 'own',
  'sync.event_buffer': 'own',
  /** The rules themselves; the path of the file is each box's own. */
  'firewall.rules': 'shared',
  'firewall.forward': 'shared',
  'replicate.from': 'own',
  'replicate.auto': 'own',
  'replicate.confirm_s': 'own',
  'feed.listen': 'own',
  'feed.token_file': 'own',
  'feed.tls.cert': 'own',
  'feed.tls.key': 'own',
  'hooks.on_event': 'own',
  'service.realtime': 'own',
  'service.watchdog': 'own',
  'service.watchdog_s': 'own',
  'service.syslog': 'own',
};

/** The keys that this version shares, sorted. */
export const SHARED_KEYS: readonly string[] = Object.entries(SCOPES)
  .filter(([, scope]) => scope === 'shared')
  .map(([key]) => key)
  .sort();

/** `carpio check` of a running node and its peer: one finding for each thing that can be wrong between two boxes. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Finding } from '../../../src/cli/check/finding.ts';
import { checkNode } from '../../../src/cli/check/node.ts';
import type { NodeFacts } from '../../../src/cli/check/system-facts.ts';
import type { PeerCheck, SideCheck } from '../../../src/contract/peer-check.ts';
import type { NodeStatus } from '../../../src/contract/status.ts';
import { VERSION } from '../../../src/contract/version.ts';
import { configOf, configText } from '../config/configs.ts';

const check = suite('cli: check of a running pair');

const CONFIG = configOf(configText());
const SIDE: SideCheck = {
  node: 'fw-a',
  version: VERSION,
  multicast: { wan: true, lan: true },
  mtu: { configured: 1500, largest: 1500 },
  sync_heard: true,
  shared: { vip: 'aa', rules: 'bb', policy: 'cc' },
};
const PAIR: PeerCheck = {
  own: SIDE,
  peer: { ...SIDE, node: 'fw-b' },
  reason: null,
  clock: { ahead_ms: 12, rtt_ms: 2 },
  passwords: { '1 on wan': true },
};
const STATUS: NodeStatus = {
  node: 'fw-a',
  version: VERSION,
  time: '2026-01-01T00:00:00.000Z',
  uptime_s: 1,
  role: 'master',
  carp: {
    preempt: true,
    maintenance: false,
    demotion: { total: 0, reasons: [] },
    counters: { badauth: 0 },
    vips: [
      {
        vhid: 1,
        interface: 'wan',
        device: 'eth0',
        addresses: ['203.0.113.1/24'],
        state: 'MASTER',
        since: '',
        reason: '',
        advbase: 1,
        advskew: 0,
        effective_advskew: 0,
        mac: '',
        takeover_ms: 3000,
        heard: null,
      },
    ],
  },
  sync: {
    dialect: 'carpio',
    sealed: true,
    peer: { node: 'fw-b', address: '10.99.0.2', alive: true, heard_ms_ago: 40, role: 'backup' },
    states: { total: 7, own: 7, mirrored: 0, kernel: 7 },
    in_step: true,
    in_step_reason: null,
    checked_ms_ago: 1,
    digest: '',
    lag_ms: 1,
    sent: 0,
    received: 0,
    sent_bytes: 0,
    received_bytes: 0,
    repairs: 0,
    repair_bytes: 0,
    overruns: 0,
    refused: {},
  },
};
const FACTS: NodeFacts = { socket: '/run/s', status: STATUS, peer: PAIR, why: null };

const line = ({ level, topic, found }: Finding) => `${level} ${topic}: ${found}`;
const trouble = (facts: NodeFacts) => checkNode(facts, CONFIG).filter(({ level }) => level !== 'ok');
function only(facts: NodeFacts): string {
  const [first, ...more] = trouble(facts);
  assert.equal(more.map(line), []);
  assert.type(first?.mend, 'string');
  return first === undefined ? 'nothing' : line(first);
}
const withPair = (change: Partial<PeerCheck>): NodeFacts => ({ ...FACTS, peer: { ...PAIR, ...change } });
const withPeer = (change: Partial<SideCheck>): NodeFacts => withPair({ peer: { ...PAIR.peer!, ...change } });
const withOwn = (change: Partial<SideCheck>): NodeFacts => withPair({ own: { ...SIDE, ...change } });
const withStatus = (change: (status: NodeStatus) => void): NodeFacts => {
  const status = structuredClone(STATUS);
  change(status);
  return { ...FACTS, status };
};

check('a pair in which all is well: every question has its line', () => {
  assert.equal(checkNode(FACTS, CONFIG).map(line), [
    `ok running node: fw-a, carpio ${VERSION}, master`,
    'ok sync peer: fw-b heard 40 ms ago, backup; 7 states in step',
    `ok peer: fw-b answers, carpio ${VERSION} as here`,
    'ok clocks: fw-b is 12 ms ahead (± 1 ms)',
    'ok sync link: heard in both directions',
    'ok sync mtu: packets of 1500 bytes pass from fw-a to fw-b',
    'ok sync mtu: packets of 1500 bytes pass from fw-b to fw-a',
    'ok shared configuration: the same on both (vip, rules, policy)',
    'ok passwords: the same on both, 1 vhids',
    'ok multicast on wan: fw-b hears fw-a',
    'ok multicast on lan: fw-b hears fw-a',
    'ok multicast on wan: fw-a hears fw-b',
    'ok multicast on lan: fw-a hears fw-b',
  ]);
});

check('the node itself', () => {
  assert.match(
    only(
      withStatus((status) => {
        status.version = '9.9.9';
      }),
    ),
    /^warning running node: .*9\.9\.9.*; this program is carpio/,
  );
  const other = withStatus((status) => {
    status.carp.vips[0]!.addresses = ['203.0.113.9/24'];
  });
  assert.match(only(other), /^warning running node: .*its vhids are not those of the file$/);
  const badauth = withStatus((status) => {
    status.carp.counters.badauth = 3;
  });
  assert.match(only(badauth), /^warning adverts: 3 with another password or address list/);
  const demoted = withStatus((status) => {
    status.carp.demotion.reasons = [{ reason: 'link wan', weight: 240 }];
  });
  assert.match(only(demoted), /^warning demotion: link wan \(240\)/);
  const silent = withStatus((status) => {
    status.sync!.peer.alive = false;
  });
  assert.match(only(silent), /^warning sync peer: nothing is heard/);
  const apart = withStatus((status) => {
    Object.assign(status.sync!, { in_step: false, in_step_reason: 'repairing' });
  });
  assert.match(only(apart), /^warning sync peer: .*not in step: repairing$/);
  const keys = withStatus((status) => {
    status.sync!.key_reason = 'the peer uses another key: put it there';
  });
  assert.match(only(keys), /^warning pair key: the peer uses another key: put it there$/);
});

check('replication: what it found by itself; a replica has other vhids than its file', () => {
  const replicate = {
    from: 'fw-a',
    role: 'source' as const,
    auto: true,
    same: true as boolean | null,
    reason: null,
    hash: '',
    peer_hash: null,
    checked_ms_ago: 1,
    pending: false,
    differs: [] as string[],
    drift: [] as string[],
    drift_since: null,
    peer_drift: [] as string[],
    unknown: [] as string[],
    unshared: [],
    own_file: [],
    last: null,
  };
  const found = (change: Partial<typeof replicate>, role: 'source' | 'replica' = 'source') =>
    withStatus((status) => {
      status.replicate = { ...replicate, ...change, role };
      if (role === 'replica') status.carp.vips[0]!.addresses = ['203.0.113.9/24'];
    });
  assert.equal(trouble(found({})), []);
  assert.equal(trouble(found({}, 'replica')), []);
  assert.is(
    only(found({ same: false, differs: ['carp.preempt', 'x'] })),
    'warning replication: not the same as on the peer: carp.preempt, and 1 more',
  );
  assert.match(only(found({ drift: ['+ add rule'] })), /^warning drift: this kernel differs .*: \+ add rule$/);
  assert.match(only(found({ peer_drift: ['x'] })), /^warning drift: the peer's kernel/);
  assert.match(only(found({ unknown: ['vip.colour'] })), /does not know: vip\.colour$/);
});

check('the peer', () => {
  assert.match(only(withPeer({ version: '9.9.9' })), /^warning peer: fw-b runs carpio 9\.9\.9, this node/);
  assert.match(
    only(withPair({ clock: { ahead_ms: -90_000, rtt_ms: 2 } })),
    /^warning clocks: fw-b is 1 min 30 s behind/,
  );
  assert.equal(trouble(withPair({ clock: { ahead_ms: 1400, rtt_ms: 900 } })), [], 'within what the round trip allows');
  assert.equal(trouble(withPair({ clock: null })), []);
  const absent = withPair({ peer: null, reason: 'no channel', clock: null, passwords: {} });
  assert.match(only(absent), /^warning peer: could not be asked: no channel$/);
  const keyed = configOf(configText());
  keyed.sync!.key = keyed.vip[0]!.password;
  const old = checkNode({ ...FACTS, peer: null, why: 'does not know the command' }, keyed);
  assert.match(old.map(line).join('\n'), /warning peer: could not be asked: does not know/);
  assert.match(only({ ...FACTS, peer: null, why: 'x' }), /^warning peer: cannot be asked without a pair key$/);
});

check('the sync link, each direction of it', () => {
  assert.match(only(withPeer({ sync_heard: false })), /^error sync link: fw-b does not hear protocol 240/);
  assert.match(only(withOwn({ sync_heard: false })), /^error sync link: fw-a does not hear/);
  const narrow = only(withPeer({ mtu: { configured: 1500, largest: 1400 } }));
  assert.is(narrow, 'error sync mtu: packets of [sync] mtu = 1500 bytes do not pass from fw-b to fw-a; 1400 do');
  assert.match(
    only(withOwn({ mtu: { configured: 1500, largest: null } })),
    /^warning sync mtu: could not be measured from fw-a/,
  );
});

check('what must be the same', () => {
  const rules = only(withPeer({ shared: { ...SIDE.shared, rules: 'xx' } }));
  assert.is(rules, 'warning shared configuration: the rules file differ from those of fw-b');
  assert.match(only(withPeer({ shared: { ...SIDE.shared, vip: 'xx' } })), /the virtual addresses/);
  assert.equal(
    trouble(withPeer({ shared: { vip: 'aa' } })),
    [],
    'a part that an older peer does not tell is no difference',
  );
  assert.is(
    only(withPair({ passwords: { '1 on wan': false, '2 on lan': true } })),
    'error vhid 1 on wan: has another password on fw-b',
  );
  assert.match(
    only(withPair({ passwords: { '1 on wan': null } })),
    /^warning vhid 1 on wan: is on one of the two boxes only$/,
  );
});

check('multicast, each direction of it', () => {
  assert.match(
    only(withOwn({ multicast: { wan: false, lan: true } })),
    /^error multicast on wan: fw-b does not hear fw-a/,
  );
  assert.match(
    only(withPeer({ multicast: { wan: true, lan: false } })),
    /^error multicast on lan: fw-a does not hear fw-b/,
  );
  assert.equal(trouble(withOwn({ multicast: { wan: null } })), [], 'not measured is not trouble');
});

check.run();

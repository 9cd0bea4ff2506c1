/** Rules in the real kernel: what passes, what is dropped, and that a load is all or nothing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openCarpReceiver, openCarpSender } from '../../src/kernel/carp-socket.ts';
import { applyNft, checkNft, listBaseChains, readNftCounters, runNft } from '../../src/kernel/nft.ts';
import { scanRules } from '../../src/kernel/nft-scan.ts';
import { carpioTable, guardInserts, REMOVE_OWN_TABLE } from '../../src/kernel/nft-text.ts';
import { Ruleset, type RulesetOptions } from '../../src/kernel/ruleset.ts';
import { internetChecksum } from '../../src/net/checksum.ts';
import { parseIp } from '../../src/net/ip.ts';
import { cable, indexOf, insideNamespace, remove, run, Segment, Until } from './kernel-lab.ts';

const ruleset = suite('lab: ruleset');
const DEVICES = { carpDevices: ['e0'], syncDevice: 'e1' };
const DROP_ALL = `flush ruleset
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
	}
	chain output {
		type filter hook output priority filter; policy drop;
	}
}
`;
let segment: Segment;
let heard: { ttl: number; size: number }[];
let receiver: { close(): void };
const until = new Until();

ruleset.before.each(() => {
  run('nft flush ruleset');
  cable('e0', 'p0', ['10.9.0.2/24', 'fe80::2/64']);
  cable('e1', 'p1', ['10.8.0.2/24']);
  segment = new Segment('p0');
  heard = [];
  receiver = openCarpReceiver({
    device: 'e0',
    ifindex: indexOf('e0'),
    v4: true,
    v6: true,
    onPacket: (family, bytes) => {
      heard.push({ ttl: family === 4 ? bytes[8]! : -6, size: bytes.length });
      until.poke();
    },
    onError: (error) => {
      throw error;
    },
  });
});
ruleset.after.each(() => {
  receiver.close();
  segment.close();
  remove('e0');
  remove('e1');
});

function advert(ttl: number): Buffer {
  const frame = Buffer.alloc(70);
  frame.set([1, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 0x99, 8, 0, 0x45, 0x10, 0, 56, 0, 1, 0x40, 0, ttl, 112]);
  frame.set(parseIp('10.9.0.3')!, 26);
  frame.set(parseIp('224.0.0.18')!, 30);
  frame.writeUInt16BE(internetChecksum(frame.subarray(14, 34)), 24);
  return frame;
}

function advert6(hopLimit: number): Buffer {
  const frame = Buffer.alloc(90);
  frame.set([0x33, 0x33, 0, 0, 0, 0x12, 2, 0, 0, 0, 0, 0x99, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 36, 112, hopLimit]);
  frame.set(parseIp('fe80::3')!, 22);
  frame.set(parseIp('ff02::12')!, 38);
  return frame;
}

/**
 * Does an advert with this TTL reach the socket? A last one with a mark of its own tells that the others had their
 * chance.
 */
async function passes(frame: Buffer): Promise<boolean> {
  heard.length = 0;
  segment.send(frame);
  try {
    await until.wait(() => heard.length > 0, 'an advert', 120);
    return true;
  } catch {
    return false;
  }
}

const options = (text: string | null, more: Partial<RulesetOptions> = {}): RulesetOptions => ({
  ...DEVICES,
  roles: { wan: ['e0', 'carp7-wan'], sync: ['e1'] },
  rules: text === null ? null : { path: '/etc/carpio/rules.nft', text },
  ...more,
});

ruleset(
  'our table: TTL 255 passes on a CARP device; 254, another device and other numbers are dropped and counted',
  async () => {
    assert.ok(await passes(advert(254)), 'negative control: without the table it passes');
    assert.is(await applyNft(carpioTable(DEVICES)), null);
    assert.ok(await passes(advert(255)));
    assert.not(await passes(advert(254)));
    assert.ok(await passes(advert6(255)));
    assert.not(await passes(advert6(64)));
    const counters = await readNftCounters('inet', 'carpio');
    assert.is(counters.carp_ttl, 2);
    assert.is(counters.carp_device, 0);

    assert.is(await applyNft(carpioTable({ carpDevices: ['other0'], syncDevice: null })), null);
    assert.not(await passes(advert(255)));
    assert.is((await readNftCounters('inet', 'carpio')).carp_device, 1);

    const sync = advert(255);
    sync.writeUInt8(240, 23);
    sync.writeUInt16BE(0, 24);
    sync.writeUInt16BE(internetChecksum(sync.subarray(14, 34)), 24);
    segment.send(sync);
    assert.not(await passes(advert(255)));
    assert.is((await readNftCounters('inet', 'carpio')).sync_device, 1);
  },
);

ruleset('a firewall that drops everything does not silence CARP: the guards let adverts in and out', async () => {
  assert.is(await applyNft(DROP_ALL), null);
  assert.not(await passes(advert(255)), 'negative control: without guards nothing passes');

  const loader = new Ruleset();
  assert.is(await loader.load(options(DROP_ALL)), null);
  assert.ok(await passes(advert(255)));
  assert.ok(await passes(advert6(255)));
  assert.not(await passes(advert(254)), 'the guard does not open what our table drops');

  segment.clear();
  const failure = await new Promise<Error | null>((resolve) => {
    const sender = openCarpSender({
      device: 'e0',
      v4: true,
      v6: false,
      onResult: (_family, error) => {
        sender.close();
        resolve(error);
      },
    });
    sender.send(4, advert(255).subarray(14));
  });
  assert.is(failure, null);
  assert.ok(await segment.find((frame) => frame.readUInt16BE(12) === 0x0800 && frame[23] === 112));
});

ruleset('loading twice is loading once, with and without flush ruleset; our table is there each time', async () => {
  const plain = DROP_ALL.replace('flush ruleset\n', '');
  for (const text of [plain, DROP_ALL]) {
    const loader = new Ruleset();
    assert.is(await loader.load(options(text)), null);
    const first = run('nft list ruleset');
    assert.is(await loader.load(options(text)), null);
    assert.is(run('nft list ruleset'), first);
    assert.match(first, /table inet carpio/);
    assert.is(first.match(/comment "carpio"/g)?.length, 4);
  }
});

ruleset('a table that the file no longer defines goes; another program’s table stays', async () => {
  run('nft add table ip foreign');
  const loader = new Ruleset();
  assert.is(await loader.load(options('table ip one { }\ntable ip two { }\n')), null);
  assert.is(await loader.load(options('table ip two { }\n')), null);
  const tables = run('nft list tables').trim().split('\n').sort();
  assert.equal(tables, ['table inet carpio', 'table ip foreign', 'table ip two']);
  assert.is(await loader.load(options(null)), null);
  assert.is(run('nft list tables').includes('two'), false);
});

const COUNTING = (extra = '', type = 'ipv4_addr', key = 'ip daddr'): string => `table inet count {
	counter seen { comment "all of it" }
	quota much { over 100 mbytes }
	set recent { type ${type}; flags dynamic,timeout; timeout 10m; counter; }
	set plain { type ipv4_addr; elements = { 1.2.3.4 } }
	map sticky { type ipv4_addr : ipv4_addr; flags timeout; timeout 1h; }
	chain out {
		type filter hook output priority 0;
		meta l4proto icmp counter name seen update @recent { ${key} } quota name "much"
		${extra}
	}
}
`;

ruleset('counters, quotas and what packets put into sets go on after a load; the file owns the rest', async () => {
  run('ip link set lo up');
  const loader = new Ruleset();
  assert.is(await loader.load(options(COUNTING())), null);
  run('ping -c 1 -W 1 10.8.0.2');
  run('nft add element inet count sticky { 10.8.0.9 timeout 50m : 10.8.0.8 }');
  run('nft add element inet count plain { 5.6.7.8 }');
  run('nft add element inet count recent { 192.0.2.7 timeout 30m }');
  const counted = await readNftCounters('inet', 'count');
  assert.ok(counted.seen! > 0);
  const used = /used (\d+ bytes)/.exec(run('nft list quotas'))?.[1];
  assert.ok(used);
  for (let i = 0; i < 3; i++) assert.is(await loader.load(options(COUNTING(`tcp dport ${i + 1} accept`))), null);
  assert.is(loader.forgot, null);
  assert.equal(await readNftCounters('inet', 'count'), counted);
  const listed = run('nft list ruleset');
  assert.match(listed, /tcp dport 3 accept/, 'the rules are the new ones');
  assert.match(listed, /comment "all of it"/);
  assert.match(run('nft list quotas'), new RegExp(`used ${used}`));
  const recent = run('nft list set inet count recent');
  assert.match(recent, /10\.8\.0\.2 counter packets [1-9]/, 'an element with its counter');
  assert.match(recent, /192\.0\.2\.7 .*timeout 30m expires 29m/, 'and with its own time');
  assert.match(run('nft list map inet count sticky'), /10\.8\.0\.9 timeout 50m expires 49m.* : 10\.8\.0\.8/);
  assert.not.match(run('nft list set inet count plain'), /5\.6\.7\.8/, 'a set without these flags is the file’s');
  run('ping -c 1 -W 1 10.8.0.2');
  assert.ok((await readNftCounters('inet', 'count')).seen! > counted.seen!, 'and it goes on');
});

ruleset('what no longer fits is forgotten, said, and no reason to refuse the file', async () => {
  run('ip link set lo up');
  const loader = new Ruleset();
  assert.is(await loader.load(options(COUNTING())), null);
  run('ping -c 1 -W 1 10.8.0.2');
  assert.is(await loader.load(options(COUNTING('', 'ipv6_addr', 'ip6 daddr'))), null);
  assert.type(loader.forgot, 'string');
  assert.match(run('nft list set inet count recent'), /type ipv6_addr/);
  assert.is(await loader.load(options('table inet count { }\n')), null);
  assert.is(loader.forgot, null, 'what the file no longer defines is no loss');
  assert.not.match(run('nft list ruleset'), /counter seen|set recent/);
});

ruleset('our own counters go on, too', async () => {
  const loader = new Ruleset();
  assert.is(await loader.load(options(null)), null);
  assert.not(await passes(advert(254)));
  const before = await readNftCounters('inet', 'carpio');
  assert.ok(before.carp_ttl! > 0);
  assert.is(await loader.load(options(null)), null);
  assert.equal(await readNftCounters('inet', 'carpio'), before);
});

ruleset('a broken file changes nothing and is named with its line', async () => {
  const loader = new Ruleset();
  assert.is(await loader.load(options(DROP_ALL)), null);
  const before = run('nft list ruleset');
  for (const [text, pattern] of [
    ['table inet filter {\n chain input {\n  bogus words here\n }\n}\n', /^\/etc\/carpio\/rules\.nft:3:\d+: /],
    [
      'table inet filter {\n chain input {\n  jump nowhere\n }\n}\n',
      /^\/etc\/carpio\/rules\.nft:3:\d+: .*No such file/,
    ],
    ['\n\ninclude "./missing.nft"\n', /^\/etc\/carpio\/rules\.nft:3:\d+: .*missing\.nft/],
    ['table inet carpio { }', /table inet carpio is Carpio's own/],
  ] as const) {
    assert.match((await loader.check(options(text))) ?? 'no error', pattern);
    assert.match((await loader.load(options(text))) ?? 'no error', pattern);
    assert.is(run('nft list ruleset'), before);
  }
});

ruleset('role variables work in rules, and included files are found beside the file and guarded', async () => {
  const place = mkdtempSync(join(tmpdir(), 'carpio-rules-'));
  try {
    mkdirSync(join(place, 'd'));
    writeFileSync(join(place, 'd', 'a.nft'), 'chain input { type filter hook input priority 0; policy drop; }\n');
    writeFileSync(
      join(place, 'b.nft'),
      'table ip6 six { chain in6 { type filter hook input priority 0; policy drop; }\n}\n',
    );
    const text = `table inet filter {
 include "./d/*.nft"
 chain forwarding { type filter hook forward priority 0; policy drop; iifname $sync oifname $wan accept; }
}
include "b.nft"
`;
    const loader = new Ruleset();
    assert.is(await loader.load(options(text, { rules: { path: join(place, 'rules.nft'), text } })), null);
    const listed = run('nft list ruleset');
    assert.match(listed, /iifname "e1" oifname \{ "e0", "carp7-wan" \} accept/);
    assert.is(listed.match(/comment "carpio"/g)?.length, 4, 'two chains, two guards each');
    assert.ok(await passes(advert(255)));
    assert.ok(await passes(advert6(255)));
  } finally {
    rmSync(place, { recursive: true });
  }
});

ruleset('a chain that the scan takes for one and is none is no reason to refuse the file', async () => {
  const text = `${DROP_ALL}delete chain inet filter output\n`;
  assert.is.not(await checkNft(text + guardInserts(scanRules(text).chains, DEVICES)), null, 'the plain way fails');
  const loader = new Ruleset();
  assert.is(await loader.load(options(text)), null);
  assert.ok(await passes(advert(255)), 'and the chain that is there is guarded all the same');
});

ruleset(
  'neither adverts nor sync packets are tracked; NAT hooks and tracking are on without any rules of the user',
  async () => {
    const text = `table inet watch {
	counter tracked { }
	counter untracked { }
	chain see {
		type filter hook prerouting priority 0;
		meta l4proto 112 ct state untracked counter name untracked
		meta l4proto 112 ct state new counter name tracked
	}
}
`;
    assert.is(await applyNft(text), null);
    assert.ok(await passes(advert(255)));
    assert.equal(await readNftCounters('inet', 'watch'), { tracked: 1, untracked: 0 }, 'negative control');
    run('nft reset counters'); // a load goes on counting
    assert.is(await new Ruleset().load(options(text)), null);
    assert.ok(await passes(advert(255)));
    assert.equal(await readNftCounters('inet', 'watch'), { tracked: 0, untracked: 1 });

    assert.is(await new Ruleset().load(options(null)), null);
    const types = (await listBaseChains()).filter((chain) => chain.table === 'carpio').map((chain) => chain.type);
    assert.ok(types.includes('nat'));
    run('nft delete table inet watch');
    const count = (): number => Number(run('cat /proc/sys/net/netfilter/nf_conntrack_count'));
    const before = count();
    run('ip link set lo up');
    run('ping -c 1 -W 1 10.8.0.2');
    assert.ok(count() > before, 'something else is tracked');
  },
);

ruleset('removing our table works twice; a hanging or chatty nft is bounded', async () => {
  assert.is(await applyNft(REMOVE_OWN_TABLE), null);
  assert.is(await applyNft(REMOVE_OWN_TABLE), null);
  const { error } = await runNft(['-f', '/no/such/file']);
  assert.match(error ?? '', /No such file/);
});

if (insideNamespace()) ruleset.run();

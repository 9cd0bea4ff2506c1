import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importConfig } from '../../../src/import/import.ts';
import { carpTimers } from '../../../src/import/keepalived/timers.ts';
import { entries, importSample, load, sample } from './samples/lib.ts';

const keepalived = suite('import: keepalived.conf');

const vip = (text: string) =>
  `vrrp_instance v { interface eth0\n virtual_router_id 5\n ${text}\n virtual_ipaddress { 192.0.2.1/24 }\n}\n`;

function imported(text: string) {
  const result = importConfig('keepalived', text, 'k.conf');
  if (!result.ok) throw new Error(result.error);
  return result;
}

keepalived('a pair with a sync group', () => {
  const result = importSample(sample('keepalived-pair.conf'));
  const { config } = load(result);
  assert.is(config.node.name, 'fw-north');
  assert.equal(config.interfaces, { eth0: 'eth0', eth1: 'eth1' });
  assert.ok(config.carp.preempt);
  const [wan, lan] = config.vip;
  assert.equal(wan?.addresses, ['203.0.113.1/24', '203.0.113.10/24', '2001:db8::1/64']);
  assert.equal([wan?.vhid, wan?.advbase, wan?.advskew, wan?.mac], [51, 1, 104, 'virtual']);
  assert.is(wan?.password.reveal().toString(), 'n0rth-wan');
  assert.equal([lan?.vhid, lan?.interface, lan?.addresses], [52, 'eth1', ['192.168.1.1/24']]);
  assert.equal(
    config.track.map((one) => [one.kind, one.name, one.weight]),
    [
      ['link', 'link eth1', 50],
      ['script', 'script chk_dns', 30],
    ],
  );
  const out = entries(result, 'left out').join('\n');
  for (const text of ['notification_email', 'smtp_server', 'fall 3', 'notify_master', 'chk_proxy', 'virtual_routes'])
    assert.match(out, text, text);
  assert.is(entries(result, 'left out').length, 6);
});

keepalived('an ugly file: what fits is kept, the rest is named with its line', () => {
  const result = importSample(sample('keepalived-ugly.conf'));
  const { config } = load(result);
  assert.not(config.carp.preempt);
  const cloud = config.vip.find((one) => one.interface === 'ens18');
  assert.equal([cloud?.vhid, cloud?.mac, cloud?.advbase], [7, 'physical', 0]);
  assert.equal(cloud?.addresses, ['10.0.0.100/32']);
  assert.equal(cloud?.peers, ['10.0.0.3', '10.0.0.4']);
  assert.is(cloud?.password.length, 20);
  const moved = config.vip.find((one) => one.interface === 'ens19');
  assert.equal([moved?.vhid, moved?.addresses, moved?.peers], [7, ['10.9.9.9/24'], ['10.0.0.3', '10.0.0.4']]);
  const bare = config.vip.find((one) => one.vhid === 9);
  assert.equal([bare?.advbase, bare?.password.length], [1, 0]);
  const out = entries(result, 'left out').join('\n');
  for (const text of [
    '^3 left out include /etc/keepalived/conf.d',
    'track_file',
    'not-an-address',
    '10.0.0.100: a virtual address cannot',
    '10.0.0.0/24: the network',
    'teapot',
    '300.1.1.1',
    'reverse',
    'nobody',
    'notify_master',
    'mystery_option',
    'nameless',
    'clash: vhid 7',
    'no_addresses',
    'slow',
    '@other',
    'virtual_server',
    'brand_new_block',
    'orphan',
    '2001:db8::100/64: its family has no unicast peer',
    'static_ipaddress',
  ]) {
    assert.match(out, new RegExp(text, 'm'), text);
  }
});

keepalived('the order of two nodes stays what it was, whatever the interval', () => {
  for (const seconds of [0.01, 0.1, 0.5, 1, 1.5, 3, 254]) {
    let before = 256;
    for (const priority of [1, 20, 50, 100, 150, 200, 254, 255]) {
      const { advbase, advskew } = carpTimers(seconds, priority);
      assert.is(advbase, Math.floor(seconds));
      assert.ok(advskew >= 0 && advskew <= 240 && advbase + advskew > 0, `${seconds} ${priority}`);
      assert.ok(advskew <= before, `${seconds} ${priority}: ${advskew} after ${before}`);
      before = advskew;
    }
  }
  assert.equal(carpTimers(1, 150), { advbase: 1, advskew: 104 });
  assert.equal(carpTimers(1, 255), { advbase: 1, advskew: 0 });
  assert.equal(carpTimers(0.1, 254), { advbase: 0, advskew: 26 });
});

keepalived('secrets are in the file and nowhere else', () => {
  for (const auth of [
    'authentication { auth_type PASS auth_pass hunter2x }',
    'authentication {\nauth_type PASS\nauth_pass "hunter2x"\n}',
  ]) {
    const result = imported(vip(auth));
    assert.is(load(result).config.vip[0]?.password.reveal().toString(), 'hunter2x');
    assert.not.match(JSON.stringify(result.report), 'hunter2x');
    assert.not.match(result.toml({ secrets: false, rulesPath: '/x' }), 'hunter2x');
    assert.match(
      result.toml({ secrets: false, rulesPath: '/x' }),
      /password_file = "\/etc\/carpio\/carp-5-eth0\.password"/,
    );
  }
  const variable = imported(`$SECRET=hunter2x\n${vip('authentication { auth_type PASS auth_pass $SECRET }')}`);
  assert.is(load(variable).config.vip[0]?.password.reveal().toString(), 'hunter2x');
  assert.not.match(JSON.stringify(variable.report), 'hunter2x');
});

keepalived('quotes and control characters cannot break out of their place', () => {
  const result = imported(vip('authentication { auth_type PASS auth_pass a\\"\u007f }'.replace('\\"', '\\')));
  assert.is(load(result).config.vip[0]?.password.reveal().toString(), 'a\\\u007f');
});

keepalived('a file with nothing for Carpio gives a configuration that loads', () => {
  for (const text of ['', 'global_defs { }\n', 'virtual_server 1.2.3.4 80 { }\n']) {
    assert.equal(load(imported(text)).config.vip, []);
  }
});

keepalived.run();

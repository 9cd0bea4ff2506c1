import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Box, type BoxResult } from '../../../src/box/apply.ts';
import { hostFiles } from '../../../src/box/host-files.ts';
import { parseHostSettings } from '../../../src/box/host-settings.ts';
import { reportText, writeReport } from '../../../src/box/report.ts';
import { plainText, readStick } from '../../../src/box/stick.ts';
import { runningSlot } from '../../../src/cli/upgrade.ts';

interface World {
  root: string;
  stick: string;
  put(name: string, text: string): void;
  apply(): BoxResult;
  read(path: string): string;
}
const box = suite<{ world: World }>('box: settings from a stick');

box.before.each((context) => {
  const root = mkdtempSync(join(tmpdir(), 'carpio-box-'));
  const stick = join(root, 'stick');
  for (const folder of ['etc', 'data/state', 'data/ssh', 'run', 'stick'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'etc/shadow'), 'root:*:20000:0:99999:7:::\ncarpio:!*:20000::::::\n');
  // As in the image: /etc/carpio leads to where the start put it.
  const link = join(root, 'etc/carpio');
  symlinkSync(join(root, 'run/carpio-box/config'), link);
  context.world = {
    root,
    stick,
    put: (name, text) => writeFileSync(join(stick, name), text),
    apply: () => new Box({ root, account: null, writable: () => {} }).apply([stick]),
    read: (path) => readFileSync(join(root, path), 'utf8'),
  };
});
box.after.each(({ world }) => rmSync(world.root, { recursive: true, force: true }));

const HOST = `hostname = "fw-a"
password_hash = "$6$abcdefgh$0123456789012345678901234567890123456789012345678901234567890123456789012345678901234."
ntp = ["pool.ntp.org"]
[ports.port1]
addresses = ["203.0.113.2/24"]
gateway = ["203.0.113.254"]
[ports."port2.20"]
addresses = ["192.168.20.2/24"]
`;
const config = (root: string): string => `[node]
name = "fw-a"
[interfaces]
wan = "port1"
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24"]
password_file = "${root}/run/carpio-box/config/carp.password"
`;

function configured(world: World): void {
  world.put('carpio.toml', config(world.root));
  world.put('carp.password', 'secret\r\n');
  world.put('carpio-host.toml', HOST.replaceAll('\n', '\r\n'));
  world.put('authorized_keys', 'ssh-ed25519 AAAA me\r\n');
}

box('without a configuration: safe mode on the documented address', ({ world }) => {
  const result = world.apply();
  assert.is(result.mode, 'safe');
  assert.match(world.read('run/systemd/network/10-port1.network'), 'Address=192.168.77.1/24');
  assert.match(world.read('run/carpio-box/config/carpio.toml'), '192.168.77.1:8180');
  assert.not.match(world.read('run/carpio-box/config/carpio.toml'), '[firewall]');
  assert.match(result.lines.join('\n'), 'carpio-safe-mode');
});

box('takes over what is on the stick, with the line ends of Linux', ({ world }) => {
  configured(world);
  const result = world.apply();
  assert.equal(result.lines, ['taken from the stick: authorized_keys carp.password carpio-host.toml carpio.toml']);
  assert.is(result.mode, 'configured');
  assert.is(world.read('data/etc/carp.password'), 'secret\n');
  assert.is(world.read('data/ssh/authorized_keys'), 'ssh-ed25519 AAAA me\n');
  assert.is(world.read('etc/hostname'), 'fw-a\n');
  assert.match(world.read('etc/shadow'), /^root:\$6\$abcdefgh\$/);
  assert.match(world.read('run/systemd/network/10-port1.network'), 'Gateway=203.0.113.254');
});

box('a stick that was taken over is not taken over again: what the box learned since stays', ({ world }) => {
  configured(world);
  world.apply();
  writeFileSync(join(world.root, 'data/etc/rules.nft'), '# from the peer\n');
  writeFileSync(join(world.root, 'data/etc/carpio-host.toml'), HOST.replace('fw-a', 'renamed'));
  assert.equal(world.apply().lines, []);
  assert.is(world.read('etc/hostname'), 'renamed\n');
  assert.is(world.read('data/etc/rules.nft'), '# from the peer\n');
  world.put('carpio-host.toml', HOST.replace('fw-a', 'fw-c'));
  world.apply();
  assert.is(world.read('etc/hostname'), 'fw-c\n');
  assert.is(world.read('data/etc/rules.nft'), '# from the peer\n', 'files that the stick does not have stay');
});

box('a mistake anywhere: nothing is taken, the former configuration goes on, the mistake is named', ({ world }) => {
  configured(world);
  world.apply();
  world.put('carpio-host.toml', HOST.replace('fw-a', 'other'));
  world.put('carpio.toml', config(world.root).replace('vhid = 1', 'vhid = 300'));
  const result = world.apply();
  assert.is(result.mode, 'configured');
  assert.is(world.read('etc/hostname'), 'fw-a\n');
  assert.match(result.lines.join('\n'), 'vip[0].vhid: found 300, allowed 1..255');
});

box('a mistake at the first start: safe mode, with the mistake in the report', ({ world }) => {
  configured(world);
  world.put('carpio-host.toml', HOST.replace('203.0.113.2/24', '203.0.113.2'));
  const result = world.apply();
  assert.is(result.mode, 'safe');
  assert.match(
    result.lines.join('\n'),
    /carpio-host\.toml:5: .*found "203.0.113.2", allowed an address with its prefix/,
  );
});

box('a password hash never appears in an error', ({ world }) => {
  world.put('carpio-host.toml', 'password_hash = "$1$oldandweak"\n');
  const said = world.apply().lines.join('\n');
  assert.match(said, 'password_hash');
  assert.not.match(said, 'oldandweak');
});

box('factory reset: once, and all is forgotten', ({ world }) => {
  configured(world);
  world.apply();
  writeFileSync(join(world.root, 'data/state/maintenance'), 'on');
  writeFileSync(join(world.root, 'data/ssh/dropbear_ed25519_host_key'), 'key');
  for (const name of ['carpio.toml', 'carpio-host.toml', 'authorized_keys']) rmSync(join(world.stick, name));
  world.put('factory-reset.txt', '');
  assert.is(world.apply().mode, 'safe');
  for (const gone of [
    'data/etc',
    'data/state/maintenance',
    'data/ssh/dropbear_ed25519_host_key',
    'stick/factory-reset.txt',
  ])
    assert.not.ok(existsSync(join(world.root, gone)), gone);
  assert.ok(existsSync(join(world.stick, 'factory-reset-done.txt')));
  assert.equal(world.apply().lines.length, 1, 'the second start resets nothing');
});

box('a power cut between the two renames of a change leaves a configuration', ({ world }) => {
  configured(world);
  world.apply();
  mkdirSync(join(world.root, 'data/etc.new'));
  writeFileSync(join(world.root, 'data/etc.new/carpio.toml'), 'half');
  renameSync(join(world.root, 'data/etc'), join(world.root, 'data/etc.old'));
  assert.is(world.apply().mode, 'configured');
  assert.not.ok(existsSync(join(world.root, 'data/etc.new')));
});

box('what is no setting stays on the stick', ({ world }) => {
  configured(world);
  world.put('carpio.toml.example', 'x');
  world.put('README.txt', 'x');
  world.put('bad name', 'x');
  const { files, refused } = readStick(world.stick);
  assert.equal([...files.keys()], ['authorized_keys', 'carp.password', 'carpio-host.toml', 'carpio.toml']);
  assert.is(refused.length, 1);
});

box('binary files keep their bytes', () => {
  const key = Buffer.from([13, 10, 0, 255]);
  assert.equal(plainText(key), key);
  assert.is(plainText(Buffer.from('\ufeffa\r\nb')).toString(), 'a\nb');
});

box('a VLAN comes with its port', () => {
  const parsed = parseHostSettings(HOST, 'carpio-host.toml');
  assert.ok(parsed.ok);
  const files = hostFiles(parsed.settings);
  assert.match(files.get('systemd/network/10-port2.network') ?? '', 'VLAN=port2.20');
  assert.match(files.get('systemd/network/10-port2.20.netdev') ?? '', 'Id=20');
});

box('syslog: the same words as in carpio.toml; nothing to send, nothing made', () => {
  const filesFor = (line: string) => {
    const parsed = parseHostSettings(line, 'f');
    assert.ok(parsed.ok);
    return hostFiles(parsed.settings).get('carpio-box/syslog.conf');
  };
  assert.is(filesFor('hostname = "a"'), undefined);
  assert.is(filesFor('syslog = []'), undefined);
  const text = filesFor('syslog = ["192.0.2.5:514", "[2001:db8::5]:1514"]')!;
  assert.match(text, 'target="192.0.2.5" port="514"');
  assert.match(text, 'target="2001:db8::5" port="1514"');
  assert.match(text, 'workDirectory="/run/', 'the root is read-only');
});

box('a syslog receiver that is none is refused with its line', () => {
  const parsed = parseHostSettings('hostname = "a"\nsyslog = ["192.0.2.5"]\n', 'f');
  assert.not.ok(parsed.ok);
  assert.match(parsed.ok ? '' : parsed.errors[0]!.message, /found "192.0.2.5", allowed "address:port"/);
  assert.is(parsed.ok ? 0 : parsed.errors[0]!.line, 2);
});

for (const [what, text] of [
  ['a syslog receiver without a port', 'syslog = ["192.0.2.5"]'],
  ['a syslog receiver by name', 'syslog = ["logs.example:514"]'],
  ['a quote in a syslog receiver', 'syslog = ["192.0.2.5:514\\" x"]'],
  ['a port 0', 'syslog = ["192.0.2.5:0"]'],
  ['a fifth syslog receiver', 'syslog = ["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:3", "1.1.1.1:4", "1.1.1.1:5"]'],
  ['a line break in a name server', 'ntp = ["a\\nExecStart=x"]'],
  ['an unknown key', 'hostnam = "a"'],
  ['a device that is no port', '[ports.eth0]\n'],
  ['a route into nowhere', '[[route]]\nto = "x"\nvia = "10.0.0.1"\nport = "port1"'],
  ['no TOML', 'hostname ='],
] as const) {
  box(`host settings refuse ${what}`, () => assert.not.ok(parseHostSettings(text, 'f').ok));
}

box('a report is written once, not at every start', ({ world }) => {
  const text = reportText('1', [{ name: 'port1', mac: '02:00:00:00:00:01', driver: 'igb' }], ['x']);
  let writes = 0;
  for (let i = 0; i < 2; i++) writeReport(world.stick, text, () => writes++);
  assert.is(writes, 1);
});

box('the running slot', () => {
  assert.is(runningSlot('quiet carpio.slot=B rauc.slot=B'), 'B');
  assert.throws(() => runningSlot('quiet'), 'not a Carpio image');
});

box.run();

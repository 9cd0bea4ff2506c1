/**
 * A hook, a tracking script, nft: what do they find open? An account without rights that inherits a raw socket sends
 * CARP packets from the virtual MAC. Each program that the daemon starts looks at its own /proc/self/fd.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until, which } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { leaveWhenDone } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const FOLDER = '/run/attack';
const FOUND = `${FOLDER}/found`;

/** A program that writes down what is open in it, and then is the one whose name it bears, or ends. */
function spy(name: string, then: string): string {
  const path = `${FOLDER}/bin/${name}`;
  // What the shell has inherited `ls` inherits from it; what the shell opens for itself it does not hand on.
  writeFileSync(path, `#!/bin/sh\nls -l /proc/self/fd > "${FOUND}/${name}.$$"\n${then}\n`);
  chmodSync(path, 0o755);
  return path;
}

const attack = suite('attack: inherited descriptors');
const lab = new Lab();
await lab.up();
mkdirSync(`${FOLDER}/bin`, { recursive: true });
mkdirSync(FOUND);
const hook = spy('hook', 'cat > /dev/null');
const script = spy('script', 'exit 0');
for (const name of ['nft', 'chrt']) spy(name, `exec ${which(name)} "$@"`);
process.env.PATH = `${FOLDER}/bin:${process.env.PATH}`;
leaveWhenDone(attack);

/** What a program had open beyond its standard streams, as `ls -l` shows it: "... 11 -> socket:[123]". */
function foundBy(name: string): string[] {
  const files = readdirSync(FOUND).filter((file) => file.startsWith(`${name}.`));
  const lines = files.flatMap((file) => readFileSync(`${FOUND}/${file}`, 'utf8').split('\n'));
  const open = lines.flatMap((line) => /(\d+) -> (.*)$/.exec(line)?.slice(1, 3).join(' ') ?? []);
  // `ls` itself has the directory open that it lists.
  return open.filter((one) => Number(one.split(' ')[0]) > 2 && !/ \/proc\/\d+\/fd$/.test(one));
}

const seen = (name: string): boolean => existsSync(FOUND) && readdirSync(FOUND).some((file) => file.startsWith(name));

attack('nothing but 0 to 2 reaches a hook, a tracking script, chrt and nft', async () => {
  const node = new Firewall(lab, 'fw-a', {
    extra: `[hooks]\non_event = "${hook}"\n[[track]]\nkind = "script"\nname = "spy"\npath = "${script}"\ninterval = 1\nweight = 1\n`,
  });
  await node.start();
  // By then every socket is open: it sends its own adverts.
  await until('master', async () => (await node.status())?.role === 'master', { withinMs: 15_000 });
  const open = readdirSync(`/proc/${node.pid}/fd`).length;
  assert.ok(open > 20, `the daemon has ${open} descriptors: enough to inherit`);
  await node.ask('demote', { weight: 1, reason: 'attack' });
  const count = (name: string): number => readdirSync(FOUND).filter((file) => file.startsWith(`${name}.`)).length;
  const before = { hook: count('hook'), script: count('script') };
  await until(
    'the hook and the script to run once more',
    () => count('hook') > before.hook && count('script') > before.script,
    {
      withinMs: 10_000,
    },
  );
  for (const name of ['hook', 'script', 'nft']) {
    assert.ok(seen(name), `${name} was started`);
    assert.equal(foundBy(name), [], name);
  }
  if (seen('chrt')) assert.equal(foundBy('chrt'), [], 'chrt');
  assert.is(await node.stop(), 0);
});

attack.run();

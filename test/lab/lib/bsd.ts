/** Two firewalls without sync, as the BSDs' own test cases have them: configured, started, asked, stopped. */
import { command, until } from '../../../scripts/lab/command.ts';
import { Firewall } from '../../../scripts/lab/firewall.ts';
import type { Lab } from '../../../scripts/lab/lab.ts';
import { FIREWALLS, type FirewallName } from '../../../scripts/lab/plan.ts';
import type { Pair } from '../../../scripts/lab/watch.ts';

export type Edit = (text: string, node: FirewallName) => string;

/** Only addresses of one family. */
export const onlyFamily =
  (family: 4 | 6): Edit =>
  (text) =>
    text.replaceAll(/addresses = \[(.*)\]/g, (_all, list: string) => {
      const kept = list.split(', ').filter((address) => address.includes(':') === (family === 6));
      return `addresses = [${kept.join(', ')}]`;
    });

/** Runs `body` with both nodes running; they are stopped whatever happens. */
export async function withPair(lab: Lab, edit: Edit, body: (pair: Pair) => Promise<void>): Promise<void> {
  const make = (name: FirewallName): Firewall => new Firewall(lab, name, { sync: false, edit });
  const pair = { 'fw-a': make('fw-a'), 'fw-b': make('fw-b') };
  try {
    await Promise.all(FIREWALLS.map((name) => pair[name].start()));
    await body(pair);
  } catch (error) {
    for (const name of FIREWALLS) process.stdout.write(`last log lines of ${name}:\n${pair[name].logTail()}\n`);
    throw error;
  } finally {
    await Promise.all(FIREWALLS.map((name) => (lab.off.has(name) ? null : pair[name].stop())));
  }
}

/**
 * Waits for an election and fails when both are master, as FreeBSD's helper does.
 * @param settleMs how long it must hold
 */
export async function oneMaster(pair: Pair, wanted: FirewallName, settleMs = 1500, withinMs = 10_000): Promise<void> {
  const roles = async (): Promise<string[]> =>
    Promise.all(FIREWALLS.map(async (name) => (await pair[name].status())?.role ?? 'none'));
  const good = JSON.stringify(FIREWALLS.map((name) => (name === wanted ? 'master' : 'backup')));
  await until(`${wanted} to be the only master`, async () => JSON.stringify(await roles()) === good, { withinMs });
  const begun = performance.now();
  while (performance.now() - begun < settleMs) {
    const now = await roles();
    if (JSON.stringify(now) !== good) throw new Error(`${wanted} was to stay the only master, but: ${now.join(', ')}`);
  }
}

/** Does the address answer from the client? */
export async function answers(lab: Lab, address: string, tries = 5): Promise<boolean> {
  const argv = ['ping', '-c', '1', '-W', '1', address];
  for (let i = 0; i < tries; i++) if ((await lab.exec('client', argv, { check: false })).code === 0) return true;
  return false;
}

export async function neighbourMac(node: string, address: string): Promise<string | null> {
  const { stdout } = await command(['ip', '-n', node, '-j', 'neigh', 'show', address]);
  return (JSON.parse(stdout || '[]') as { lladdr?: string }[])[0]?.lladdr ?? null;
}

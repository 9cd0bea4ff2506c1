/** Source and replica over a channel in memory, with kernels that lie when told to: whoever is not sure goes back. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CallError } from '../../../src/channel/calls.ts';
import type { PeerChannel } from '../../../src/channel/channel.ts';
import { resolveVips } from '../../../src/config/resolve.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { ReplicateEvent } from '../../../src/contract/events.ts';
import type { Json } from '../../../src/contract/values.ts';
import { makeDocument, type SharedDocument, sharedEntries } from '../../../src/replicate/document.ts';
import { REPLICATE_CALLS as CALLS } from '../../../src/replicate/messages.ts';
import type { ReplicatePorts } from '../../../src/replicate/ports.ts';
import type { Prepared, PrepareResult } from '../../../src/replicate/prepared.ts';
import { Replica } from '../../../src/replicate/replica.ts';
import { Source } from '../../../src/replicate/source.ts';
import { ReplicaStore } from '../../../src/replicate/store.ts';
import type { KernelTruth } from '../../../src/replicate/truth.ts';
import { configOf, configText } from '../config/configs.ts';

const pairs = suite('replicate: source and replica');
const KEY = Buffer.alloc(32, 5);
const dir = mkdtempSync(join(tmpdir(), 'carpio-pair-'));
pairs.after(() => rmSync(dir, { recursive: true, force: true }));

const REPLICATE = '[replicate]\nfrom = "fw-a"\nauto = false\nconfirm_s = 2\n';
const textOf = (node: string, rest = ''): string =>
  configText('', `${rest}[firewall]\nforward = true\n${REPLICATE}`).replace('fw-a"\n[int', `${node}"\n[int`);

function prepared(text: string): Prepared {
  const config = configOf(text);
  const resolved = resolveVips(config, []);
  if (!resolved.ok) throw new Error('not resolved');
  return { config, vips: resolved.vips, links: [], replicated: null };
}

/** A node without a network: what is in force, and a kernel that holds what was loaded last, or what it is told to. */
class Box {
  current: Prepared;
  rules: string;
  lie: string | null = null;
  /** Rules on disk that are not loaded yet; null: the same. */
  file: string | null = null;
  refuse: string | null = null;
  readonly events: ReplicateEvent[] = [];
  readonly ports: ReplicatePorts;
  readonly truth: KernelTruth;

  constructor(text: string, rules: string) {
    const own = prepared(text);
    this.current = own;
    this.rules = rules;
    this.ports = {
      current: () => this.current,
      links: () => [],
      candidate: (shared) => this.candidate(own, shared),
      checkRules: async () => this.refuse,
      change: async (next) => {
        this.current = next;
        this.rules = next.config.firewall?.replicated?.text ?? rules;
        return null;
      },
      rules: () => ({ text: this.rules, tables: [] }),
      rulesOf: () => this.file ?? this.rules,
      roles: () => ({ 'wan/1': 'BACKUP' }),
      publish: (event) => void this.events.push(event),
      warn: () => {},
    };
    this.truth = {
      drift: null,
      rules: async () => (this.lie ?? this.rules).split('\n'),
      nftVersion: async () => 'v1',
      addresses: () => [],
    } as unknown as KernelTruth;
  }

  private candidate(own: Prepared, shared: SharedDocument | null): PrepareResult {
    if (shared === null) return { ok: true, prepared: own, warnings: [] };
    const { entries } = shared;
    const firewall = { ...own.config.firewall!, forward: entries['firewall.forward'] === true };
    const config = { ...own.config, firewall, carp: { ...own.config.carp, preempt: entries['carp.preempt'] === true } };
    const text = String(entries['firewall.rules'] ?? '');
    config.firewall.replicated = { text, from: shared.node, directory: '/' };
    const vips = own.vips.map((vip) => ({
      ...vip,
      password: new Secret(Buffer.from(String(entries['vip[wan/1].password']), 'base64')),
    }));
    return { ok: true, prepared: { config, vips, links: [], replicated: shared }, warnings: [] };
  }
}

interface Scene {
  a: Box;
  b: Box;
  source: Source;
  replica: Replica;
  /** Calls that are lost, by name. */
  lost: Set<string>;
  calls: string[];
  state: string;
  store: ReplicaStore;
  close(): void;
}

let scenes = 0;

function scene(caller = 'fw-a', rest = ''): Scene {
  const state = join(dir, `s${scenes++}`);
  const [a, b] = [new Box(textOf('fw-a', rest), 'one\ntwo\n'), new Box(textOf('fw-b'), 'one\n')];
  const replica = new Replica({ key: () => KEY, version: '1', stateDir: state }, b.ports, b.truth);
  const [lost, calls] = [new Set<string>(), [] as string[]];
  const who = { node: caller, version: '1', signal: new AbortController().signal };
  const handlers: Record<string, (body: Json) => Json | Promise<Json>> = {
    [CALLS.state]: (body) => replica.onState(body, who),
    [CALLS.plan]: (body) => replica.onPlan(body, who),
    [CALLS.apply]: (body) => replica.onApply(body, who),
    [CALLS.confirm]: (body) => replica.onConfirm(body, who),
    [CALLS.abort]: (body) => replica.onAbort(body, who),
    [CALLS.rules]: async () => ({ lines: await b.truth.rules() }),
  };
  const channel = {
    peer: { node: 'fw-b', version: '1', boot: 'x' },
    onOpen: () => {},
    onLost: () => {},
    call: async (name: string, body: Json) => {
      calls.push(name);
      if (lost.has(name)) throw new CallError('lost', 'the cable is cut');
      try {
        return JSON.parse(JSON.stringify(await handlers[name]!(JSON.parse(JSON.stringify(body)))));
      } catch (error) {
        throw new CallError('refused', (error as Error).message);
      }
    },
  } as unknown as PeerChannel;
  const source = new Source({ key: () => KEY, node: 'fw-a', version: '1' }, a.ports, a.truth, channel);
  const close = (): void => {
    source.close();
    replica.close();
  };
  return { a, b, source, replica, lost, calls, state, store: new ReplicaStore(state), close };
}

function pairTest(name: string, body: (on: Scene) => Promise<void>, ...args: Parameters<typeof scene>): void {
  pairs(name, async () => {
    const on = scene(...args);
    try {
      await body(on);
    } finally {
      on.close();
    }
  });
}

async function until(look: () => boolean): Promise<void> {
  for (const by = Date.now() + 15_000; !look(); ) {
    if (Date.now() > by) throw new Error('waited 15 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

pairTest('the plan is of the files, before a reload too; a push is of what runs', async ({ a, b, source }) => {
  a.file = 'one\ntwo\nthree\n';
  const files = await source.planOfFiles();
  assert.equal([files.files, files.lines], [true, ['firewall.rules: changed', '  +2 two', '  +3 three']]);
  assert.is((await source.plan()).files, false);
  const result = await source.push('asked');
  assert.ok(result.done, result.reason);
  assert.is(b.rules, 'one\ntwo\n');
});

pairTest(
  'a push is applied, proven, confirmed and kept on disk for nobody else to read',
  async ({ a, b, source, replica, state, store }) => {
    const plan = await source.plan();
    assert.equal(plan.lines, ['firewall.rules: changed', '  +2 two']);
    const result = await source.push('asked');
    assert.ok(result.done, result.reason);
    assert.equal([b.rules, source.hash() === replica.hash(), result.changes], [a.rules, true, 1]);
    assert.is(store.read()?.document.entries['firewall.rules'], a.rules);
    assert.is(statSync(`${state}/replicated.json`).mode & 0o777, 0o600);
    assert.equal(
      b.events.map((event) => event.kind),
      ['replicate.applied'],
    );
    assert.is(a.events.at(-1)?.kind, 'replicate.pushed');
    const again = await source.push('asked');
    assert.equal([again.done, again.changes, again.reason], [true, 0, 'fw-b holds the same already']);
  },
);

pairTest(
  'a kernel that holds other rules than it was given: undone, with the line that differs',
  async ({ b, source, store }) => {
    b.lie = 'one\nthree\n';
    const result = await source.push('asked');
    assert.not.ok(result.done);
    assert.is(result.reason, 'its kernel holds other rules: -2 two | +2 three; fw-b has gone back to what it had');
    await until(() => b.events.length > 0);
    assert.equal([b.rules, store.read(), b.events[0]?.kind], ['one\n', null, 'replicate.rolled_back']);
  },
);

pairTest('a kernel that refuses the rules: nothing is touched', async ({ b, source, calls, store }) => {
  b.refuse = 'rules of fw-a:1:1: no';
  const result = await source.push('asked');
  assert.is(result.reason, 'fw-b refuses: the kernel does not take the rules: rules of fw-a:1:1: no');
  assert.not.ok(calls.includes(CALLS.apply));
  assert.equal([b.rules, store.read(), b.events], ['one\n', null, []]);
});

pairTest(
  'a confirmation that never comes: undone in time, and the source knows',
  async ({ b, source, lost, store }) => {
    lost.add(CALLS.confirm);
    const begun = performance.now();
    const result = await source.push('asked');
    assert.equal([result.done, result.brokeOff], [false, true]);
    assert.match(result.reason, 'could not be told to keep it (the cable is cut), so it goes back');
    await until(() => b.events.length > 0);
    assert.ok(performance.now() - begun >= 1900);
    assert.equal([b.rules, store.read()], ['one\n', null]);
    assert.equal(b.events[0], { kind: 'replicate.rolled_back', reason: 'the source did not confirm in time' });
    lost.clear();
    assert.ok((await source.push('asked')).done, 'and the next one is not in its way');
  },
);

pairTest('a disk that cannot be written: nothing is touched', async ({ b, source, state }) => {
  writeFileSync(state, 'a file where the directory should be');
  const result = await source.push('asked');
  assert.not.ok(result.done);
  assert.match(result.reason, 'it cannot be written to the disk');
  assert.is(b.rules, 'one\n');
});

pairTest('a replica that died in the middle starts with what was confirmed', async ({ a, b, source, state, store }) => {
  assert.ok((await source.push('asked')).done);
  const document = makeDocument('fw-a', '1', sharedEntries(a.current.config, a.current.vips, 'never confirmed\n'));
  store.stage({ taken: 'now', document });
  const reborn = new Replica({ key: () => KEY, version: '1', stateDir: state }, b.ports, b.truth);
  reborn.begin();
  reborn.begin();
  reborn.close();
  assert.equal(
    b.events.slice(1).map((event) => event.kind),
    ['replicate.rolled_back'],
    'said once',
  );
  assert.is(store.read()?.document.entries['firewall.rules'], a.rules);
});

pairTest(
  'only the node that the file names may lead',
  async ({ source, b }) => {
    const result = await source.push('asked');
    assert.is(result.reason, 'fw-b takes its shared configuration from fw-a, not from fw-c');
    assert.is(b.rules, 'one\n');
  },
  'fw-c',
);

pairTest(
  'a newer source: its key is kept and named, the rest is applied, both hashes are the same',
  async ({ a, b, source, replica, store }) => {
    const entries = sharedEntries(a.current.config, a.current.vips, a.rules);
    const newer = { ...entries, 'carp.colour': 'blue' };
    source.entries = () => newer;
    const plan = await source.plan();
    assert.equal(plan.unknown, ['carp.colour']);
    assert.ok(plan.effects.some((line) => line.startsWith('carp.colour: fw-b does not know it')));
    const result = await source.push('asked');
    assert.ok(result.done, result.reason);
    assert.match(result.reason, 'fw-b does not know carp.colour');
    assert.equal([b.rules, source.hash() === replica.hash()], [a.rules, true]);
    assert.is(store.read()?.document.entries['carp.colour'], 'blue');
    const [applied] = b.events.flatMap((event) => (event.kind === 'replicate.applied' ? [event] : []));
    assert.equal(applied?.unknown, ['carp.colour']);
  },
);

pairTest('a document of another format is refused by name', async ({ replica, a }) => {
  const document = { ...makeDocument('fw-a', '9.0', sharedEntries(a.current.config, a.current.vips, '')), format: 2 };
  const who = { node: 'fw-a', version: '9.0', signal: new AbortController().signal };
  const plan = (await replica.onPlan({ document } as unknown as Json, who)) as { errors: string[] };
  assert.match(plan.errors[0] ?? '', 'of fw-a (carpio 9.0) has format 2, this node knows 1');
});

pairTest('a damaged store says what to do', async ({ state, source, store }) => {
  assert.ok((await source.push('asked')).done);
  const text = readFileSync(`${state}/replicated.json`, 'utf8');
  for (const bad of ['', '{', text.slice(0, -20), '[]', text.replace('"entries"', '"entrees"')]) {
    writeFileSync(`${state}/replicated.json`, bad);
    assert.throws(() => store.read(), /is damaged; remove it, and the peer sends it anew/);
  }
});

pairs.run();

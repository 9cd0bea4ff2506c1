/** Tables that another program removes are made again, said, and weigh on the node as long as they are missing. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FirewallEvent } from '../../../src/contract/events.ts';
import { type KeptTables, TableKeeper } from '../../../src/node/table-keeper.ts';

const test = suite('node: tables are looked after');

const OWN = { family: 'inet', name: 'carpio' };
const USERS = { family: 'inet', name: 'filter' };

/** A kernel with the two tables, and a node that can make them. */
class World {
  tables = new Map([
    ['inet carpio', { handle: '1', content: 'input 3' }],
    ['inet filter', { handle: '2', content: 'input 5' }],
  ]);
  generation = 1;
  nowMs = 0;
  refuses: string | null = null;
  made = 0;
  readonly said: string[] = [];
  readonly keeper: TableKeeper;

  constructor() {
    const kept: KeptTables = {
      tables: () => [
        { table: OWN, whole: true },
        { table: USERS, whole: false },
      ],
      make: async () => this.make(),
    };
    const kernel = { generation: () => this.generation, read: () => new Map(this.tables), close: () => {} };
    this.keeper = new TableKeeper([kept], kernel, {
      publish: (event: FirewallEvent) => this.said.push(event.kind),
      demote: (reason, weight) => this.said.push(`${reason} ${weight}`),
      undemote: (reason) => this.said.push(`${reason} over`),
      warn: (message) => this.said.push(message),
      nowMs: () => this.nowMs,
    });
    this.keeper.begin();
  }

  change(act: (tables: World['tables']) => void): void {
    act(this.tables);
    this.generation++;
  }

  async look(laterMs = 200): Promise<string[]> {
    this.nowMs += laterMs;
    await this.keeper.look();
    return this.said.splice(0);
  }

  private make(): string | null {
    this.made++;
    if (this.refuses !== null) return this.refuses;
    this.change((tables) => {
      tables.set('inet carpio', { handle: `${this.generation}`, content: 'input 3' });
      tables.set('inet filter', { handle: `${this.generation}x`, content: 'input 5' });
    });
    return null;
  }
}

const each = (name: string, body: (world: World) => Promise<void>): void =>
  test(name, async () => {
    const world = new World();
    try {
      await body(world);
    } finally {
      world.keeper.close();
    }
  });

each('flush ruleset: said, made again, said', async (world) => {
  assert.equal(await world.look(), []);
  world.change((tables) => tables.clear());
  assert.equal(await world.look(), ['firewall.lost', 'firewall.back']);
  assert.equal(await world.look(), []);
  assert.is(world.made, 1);
});

each('another table of the same name, as from a saved ruleset, is not ours', async (world) => {
  world.change((tables) => tables.set('inet filter', { handle: '9', content: 'input 5' }));
  assert.equal(await world.look(), ['firewall.lost', 'firewall.back']);
});

each(
  "rules taken out of our own table count; changes in the user's tables by hand, and of others, do not",
  async (w) => {
    w.change((tables) => tables.set('inet filter', { handle: '2', content: 'input 6' }));
    w.change((tables) => tables.set('ip other', { handle: '7', content: '' }));
    assert.equal(await w.look(), []);
    w.change((tables) => tables.set('inet carpio', { handle: '1', content: 'input 0' }));
    assert.equal(await w.look(), ['firewall.lost', 'firewall.back']);
  },
);

each('what cannot be made weighs on the node until it can; tried each second', async (world) => {
  world.refuses = 'nft says no';
  world.change((tables) => tables.clear());
  assert.equal(await world.look(), ['firewall.lost', 'rules 240', 'firewall.failed']);
  assert.equal(await world.look(), [], 'not sooner than after a second');
  assert.equal(await world.look(1000), ['firewall.failed']);
  world.refuses = null;
  assert.equal(await world.look(1000), ['rules over', 'firewall.back']);
});

each('what this node changes itself is no loss', async (world) => {
  world.keeper.hold();
  world.change((tables) => tables.set('inet carpio', { handle: '5', content: 'input 4' }));
  assert.equal(await world.look(), []);
  world.keeper.settle();
  assert.equal(await world.look(), []);
  assert.is(world.made, 0);
});

each('what somebody removes while this node changes something is a loss', async (world) => {
  world.keeper.hold();
  world.change((tables) => tables.delete('inet filter'));
  world.keeper.settle();
  assert.equal(await world.look(), ['firewall.lost', 'firewall.back']);
});

test.run();

import type { StatesResult } from '../contract/control.ts';
import { parseFilter, type StateTest } from '../contract/state-filter.ts';
import { type StateView, stateLine } from '../contract/state-view.ts';
import type { Json } from '../contract/values.ts';
import type { Args } from './args.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

const TIMEOUT_MS = 60_000;

/** @throws UsageError */
function filterOf(args: Args): { expression: string; test: StateTest } {
  const { filter } = args.options;
  const expression = typeof filter === 'string' ? filter : '';
  const parsed = parseFilter(expression);
  if (!parsed.ok) throw new UsageError(`--filter: ${parsed.error}`);
  return { expression, test: parsed.test };
}

/** Prints the chunks as they come: a table of a million states is never held here. */
class Printer {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #test: StateTest;
  #printed = 0;

  constructor(io: Io, json: boolean, test: StateTest) {
    this.#io = io;
    this.#json = json;
    this.#test = test;
  }

  async chunk(chunk: Json[]): Promise<void> {
    // Filtered again here: a node of another version may know fewer keys than we do.
    const states = (chunk as unknown as StateView[]).filter(this.#test);
    if (states.length === 0) return;
    const text = this.#json
      ? states.map((state) => JSON.stringify(state)).join(',\n')
      : states.map(stateLine).join('\n');
    await this.#io.out(`${this.#json ? (this.#printed === 0 ? '[\n' : ',\n') : ''}${text}${this.#json ? '' : '\n'}`);
    this.#printed += states.length;
  }

  async end(): Promise<void> {
    if (this.#json) await this.#io.out(this.#printed === 0 ? '[]\n' : '\n]\n');
  }
}

async function printCount(args: Args, io: Io, expression: string, test: StateTest): Promise<number> {
  let matched = 0;
  let streamed = false;
  const onChunk = (chunk: Json[]) => {
    streamed = true;
    matched += (chunk as unknown as StateView[]).filter(test).length;
  };
  const values = { filter: expression, count: true };
  const result = asObject<StatesResult>(await askNode(args, 'states', values, { timeoutMs: TIMEOUT_MS, onChunk }));
  // A node that sends the states although only their number was asked for has not filtered them either.
  const count = streamed ? matched : result.count;
  await io.out(args.options.json === true ? `${JSON.stringify({ count })}\n` : `${count}\n`);
  return EXIT.done;
}

export const command: Command = {
  name: 'states',
  positionals: [],
  options: [
    { name: 'filter', value: 'EXPR', help: 'only the states that fit' },
    { name: 'count', help: 'only how many' },
    { name: 'json', help: 'a JSON array, one state a line' },
    ...SOCKET_OPTIONS,
  ],
  details: `
Lists the state table, a line each in the manner of conntrack -L: protocol, seconds left, state, original and reply
direction, then owner (own: this node forwards it; mirrored: the peer does) and whether this kernel holds it.

EXPR is one or more KEY=VALUE or KEY!=VALUE with spaces between, all of which must hold; VALUE may be a list with commas:
  carpio states --filter 'proto=tcp dst=192.0.2.0/24 dport=443,8443 owner=peer kernel=no'
Keys: proto family state status nat mark zone label helper owner kernel; of the original direction src dst sport dport; of the reply
reply-src reply-dst reply-sport reply-dport; of either addr port. Ports, mark, zone and label take ranges: sport=1024-2047.`,
  async run(args, io) {
    const { expression, test } = filterOf(args);
    if (args.options.count === true) return printCount(args, io, expression, test);
    const printer = new Printer(io, args.options.json === true, test);
    const onChunk = (chunk: Json[]) => printer.chunk(chunk);
    await askNode(args, 'states', { filter: expression, count: false }, { timeoutMs: TIMEOUT_MS, onChunk });
    await printer.end();
    return EXIT.done;
  },
};

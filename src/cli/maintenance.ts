import type { MaintenanceResult } from '../contract/control.ts';
import { clean } from '../contract/text.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

/** Longer than any hand-over: the node itself gives up first, and says why. */
const TIMEOUT_MS = 120_000;

export const command: Command = {
  name: 'maintenance',
  positionals: ['on|off'],
  options: [...SOCKET_OPTIONS],
  details: `
on: hands every virtual address over to the peer and keeps this node back, also after a restart. Returns when the peer is
master, or says why it cannot be; this node then goes on as master, so nothing is lost by trying.
off: this node takes part in the election again. Returns when that is so.
Exit: 0 done, 1 not, and why.`,
  async run(args, io) {
    const word = args.positionals[0]!;
    if (word !== 'on' && word !== 'off') throw new UsageError(`found ${JSON.stringify(word)}, allowed on or off`);
    const reply = await askNode(args, 'maintenance', { on: word === 'on' }, { timeoutMs: TIMEOUT_MS });
    const result = asObject<MaintenanceResult>(reply);
    const text = `maintenance ${word}: ${clean(result.reason)}`;
    if (result.done) await io.out(`${text}\n`);
    else io.err(`carpio ${text}`);
    return result.done ? EXIT.done : EXIT.no;
  },
};

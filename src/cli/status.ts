import type { NodeStatus } from '../contract/status.ts';
import { clean } from '../contract/text.ts';
import type { Trouble } from '../contract/trouble.ts';
import type { Args } from './args.ts';
import { type Command, EXIT, type Io } from './command.ts';
import { ControlError } from './control-client.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';
import { renderStatus } from './status-text.ts';
import { painter } from './text.ts';

/** One line for a monitoring system: how bad, what, where, since when, the sentence, the mend. */
function checkLine({ severity, what, where, since, text, mend }: Trouble): string {
  return `${severity.toUpperCase()} ${what} (${where}) since ${since}: ${clean(text)}; mend: ${clean(mend)}\n`;
}

/** `--check`: exit 0 well, 1 trouble, 2 no answer. */
async function check(args: Args, io: Io): Promise<number> {
  let status: NodeStatus;
  try {
    status = asObject<NodeStatus>(await askNode(args, 'status', {}));
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    await io.out(`NO ANSWER: ${error.message}\n`);
    return EXIT.wrong;
  }
  const trouble = status.trouble ?? [];
  if (args.options.json === true) await io.out(`${JSON.stringify({ ok: trouble.length === 0, trouble }, null, 2)}\n`);
  else if (trouble.length === 0) await io.out(`OK ${status.node}: ${status.role}, ${stepOf(status)}\n`);
  else await io.out(trouble.map(checkLine).join(''));
  return trouble.length === 0 ? EXIT.done : EXIT.no;
}

function stepOf({ sync }: NodeStatus): string {
  if (sync === null) return 'no state sync';
  return sync.in_step === true ? `in step, ${sync.states.total} states` : 'not known to be in step';
}

export const command: Command = {
  name: 'status',
  positionals: [],
  options: [
    { name: 'json', help: 'print the status as JSON' },
    { name: 'check', help: 'for monitoring systems: a line for each trouble; exit 0 well, 1 trouble, 2 no answer' },
    ...SOCKET_OPTIONS,
  ],
  details: `
Shows what is wrong first, each trouble with its mend; then this node, its role, each virtual address with its state, since
when and why, and what was heard of the peer; whether both nodes hold the same states and how old that knowledge is; and what
lowers this node's standing.
BASE/SKEW are advbase and advskew; TAKES OVER is how long a master may be silent before this node takes over.`,
  async run(args, io) {
    if (args.options.check === true) return check(args, io);
    const status = asObject<NodeStatus>(await askNode(args, 'status', {}));
    const json = args.options.json === true;
    await io.out(json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status, io.now(), painter(io.colour)));
    return EXIT.done;
  },
};

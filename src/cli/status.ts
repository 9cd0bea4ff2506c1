import type { NodeStatus } from '../contract/status.ts';
import { type Command, EXIT } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';
import { renderStatus } from './status-text.ts';
import { painter } from './text.ts';

export const command: Command = {
  name: 'status',
  positionals: [],
  options: [{ name: 'json', help: 'print the status as JSON' }, ...SOCKET_OPTIONS],
  details: `
Shows this node, its role, each virtual address with its state, since when and why, and what was heard of the peer; whether
both nodes hold the same states and how old that knowledge is; and what lowers this node's standing.
BASE/SKEW are advbase and advskew; TAKES OVER is how long a master may be silent before this node takes over.`,
  async run(args, io) {
    const status = asObject<NodeStatus>(await askNode(args, 'status', {}));
    const json = args.options.json === true;
    await io.out(json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status, io.now(), painter(io.colour)));
    return EXIT.done;
  },
};

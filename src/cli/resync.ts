import type { NodeStatus, SyncStatus } from '../contract/status.ts';
import { clean } from '../contract/text.ts';
import type { Args } from './args.ts';
import { type Command, CommandError, EXIT, type Io } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';
import { duration } from './text.ts';

/** How long a repair may take, and how long the peer may be missing, before this stops waiting; ms. */
const PATIENCE = { repair: 120_000, peer: 10_000 };
const POLL_MS = 200;

async function syncStatus(args: Args): Promise<SyncStatus> {
  const { sync } = asObject<NodeStatus>(await askNode(args, 'status', {}));
  if (!sync) throw new CommandError('the configuration has no [sync] section: this node does not sync states');
  return sync;
}

/** The first answer that is settled: in step by a comparison younger than the request, or patience has run out. */
async function settled(args: Args, io: Io, begun: number): Promise<SyncStatus> {
  for (;;) {
    const asked = io.now();
    const sync = await syncStatus(args);
    const waited = io.now() - begun;
    const fresh = sync.checked_ms_ago !== null && sync.checked_ms_ago <= asked - begun;
    if (sync.in_step === true && fresh) return sync;
    if (waited > (sync.in_step === null ? PATIENCE.peer : PATIENCE.repair)) return sync;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export const command: Command = {
  name: 'resync',
  positionals: [],
  options: [{ name: 'json', help: 'print the result as JSON' }, ...SOCKET_OPTIONS],
  details: `
Compares both nodes' states now, repairs what differs, and returns when they are in step or says why they are not.
Exit: 0 in step, 1 not.`,
  async run(args, io) {
    const before = await syncStatus(args);
    const begun = io.now();
    await askNode(args, 'resync', {});
    const after = await settled(args, io, begun);
    const result = {
      in_step: after.in_step,
      reason: after.in_step_reason,
      states: after.states.total,
      repairs: after.repairs - before.repairs,
      repair_bytes: after.repair_bytes - before.repair_bytes,
      ms: io.now() - begun,
    };
    const word = result.in_step === true ? 'in step' : result.in_step === null ? 'could not tell' : 'NOT in step';
    const why = result.reason === null ? '' : `: ${clean(result.reason)}`;
    const cost = `${result.repairs} repairs with ${result.repair_bytes} bytes in ${duration(result.ms)}`;
    const text = `${word}${why}, ${result.states} states, ${cost}\n`;
    await io.out(args.options.json === true ? `${JSON.stringify(result, null, 2)}\n` : text);
    return result.in_step === true ? EXIT.done : EXIT.no;
  },
};

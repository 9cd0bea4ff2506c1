import { type Command, EXIT } from './command.ts';
import { ControlError } from './control-client.ts';
import { asObject, type VerifyResult } from './control-types.ts';
import { askNode, SOCKET_OPTIONS } from './node-call.ts';
import { clean, duration } from './text.ts';

const TIMEOUT_MS = { quick: 15_000, deep: 300_000 };

function render(result: VerifyResult): string {
  const why = result.reason === null ? '' : `: ${clean(result.reason)}`;
  const differences = (result.differences ?? []).map((line) => `  ${clean(line)}\n`).join('');
  if (result.in_step === null) return `could not tell${why}\n${differences}`;
  const age = result.checked_ms_ago === null ? '' : `, compared ${duration(result.checked_ms_ago)} ago`;
  const here = result.states === null ? '' : `, ${result.states} states`;
  const there = result.peer_states === null ? '' : ` here and ${result.peer_states} at the peer`;
  if (!result.in_step) return `NOT in step${why}${here}${there}${age}\n${differences}`;
  const digest = result.digest === null ? '' : `, digest ${clean(result.digest)}`;
  return `in step${here}${age}${digest}\n${differences}`;
}

export const command: Command = {
  name: 'verify',
  positionals: [],
  options: [
    { name: 'deep', help: "also read both kernels' tables, and name each state that differs" },
    { name: 'json', help: 'print the result as JSON' },
    ...SOCKET_OPTIONS,
  ],
  details: `
Proves that both nodes hold the same states: their keyed digests are compared now.
Exit: 0 in step, 1 not in step, 2 could not tell (no peer, no sync, no running node).`,
  async run(args, io) {
    const deep = args.options.deep === true;
    const timeoutMs = deep ? TIMEOUT_MS.deep : TIMEOUT_MS.quick;
    try {
      const result = asObject<VerifyResult>(await askNode(args, 'verify', { deep }, { timeoutMs }));
      await io.out(args.options.json === true ? `${JSON.stringify(result, null, 2)}\n` : render(result));
      if (result.in_step === null || result.in_step === undefined) return EXIT.wrong;
      return result.in_step ? EXIT.done : EXIT.no;
    } catch (error) {
      // Nobody there to ask is "could not tell", not "no".
      if (!(error instanceof ControlError)) throw error;
      io.err(`carpio verify: could not tell: ${error.message}`);
      return EXIT.wrong;
    }
  },
};

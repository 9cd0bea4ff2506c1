import type { VerifyResult } from '../contract/control.ts';
import { clean } from '../contract/text.ts';
import { type Command, EXIT } from './command.ts';
import { ControlError } from './control-client.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

const TIMEOUT_MS = { quick: 15_000, deep: 300_000 };

function correctionsText({ corrections }: VerifyResult): string {
  if (!corrections) return '';
  const peer = corrections.peer === null ? 'not known at the peer' : `${corrections.peer} at the peer`;
  return `; the kernels' tables were read again: ${corrections.here} mended here, ${peer}`;
}

function render(result: VerifyResult): string {
  const word = result.in_step === null ? 'could not tell' : result.in_step ? 'in step' : 'NOT in step';
  const why = result.reason === null ? '' : `: ${clean(result.reason)}`;
  const states = `, ${result.states.own} own and ${result.states.mirrored} mirrored states`;
  const digest = result.in_step === true && result.digest !== null ? `, digest ${clean(result.digest)}` : '';
  const differences = (result.differences ?? []).map((line) => `  ${clean(line)}\n`).join('');
  return `${word}${why}${states}${digest}${correctionsText(result)}\n${differences}`;
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
      if (result.in_step === null) return EXIT.wrong;
      return result.in_step ? EXIT.done : EXIT.no;
    } catch (error) {
      // Nobody there to ask is "could not tell", not "no".
      if (!(error instanceof ControlError)) throw error;
      io.err(`carpio verify: could not tell: ${error.message}`);
      return EXIT.wrong;
    }
  },
};

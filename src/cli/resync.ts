import { type Command, EXIT } from './command.ts';
import { asObject, type ResyncResult } from './control-types.ts';
import { askNode, SOCKET_OPTIONS } from './node-call.ts';
import { clean, duration } from './text.ts';

const TIMEOUT_MS = 120_000;

function render(result: ResyncResult): string {
  const why = result.reason === null ? '' : `: ${clean(result.reason)}`;
  const step = result.in_step === null ? 'not known whether in step' : result.in_step ? 'in step' : 'NOT in step';
  const repaired = result.repaired === null ? '' : `, ${result.repaired} states repaired`;
  const bytes = result.bytes === null ? '' : ` with ${result.bytes} bytes`;
  const took = result.ms === null ? '' : ` in ${duration(result.ms)}`;
  return `${step}${why}${repaired}${bytes}${took}\n`;
}

export const command: Command = {
  name: 'resync',
  positionals: [],
  options: [{ name: 'json', help: 'print the result as JSON' }, ...SOCKET_OPTIONS],
  details: `
Compares both nodes' states now, repairs what differs, and returns when they are in step or says why they are not.
Exit: 0 in step, 1 not.`,
  async run(args, io) {
    const result = asObject<ResyncResult>(await askNode(args, 'resync', {}, { timeoutMs: TIMEOUT_MS }));
    await io.out(args.options.json === true ? `${JSON.stringify(result, null, 2)}\n` : render(result));
    return result.in_step === true ? EXIT.done : EXIT.no;
  },
};

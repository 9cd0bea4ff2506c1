import type { DemoteResult } from '../contract/control.ts';
import { clean } from '../contract/text.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

const MAX_WEIGHT = 254;

/** @throws UsageError */
function parseWeight(text: string): number {
  const weight = Number(text);
  if (!/^-?[0-9]+$/.test(text) || weight === 0 || Math.abs(weight) > MAX_WEIGHT) {
    throw new UsageError(`WEIGHT: found ${JSON.stringify(text)}, allowed 1..${MAX_WEIGHT} or -${MAX_WEIGHT}..-1`);
  }
  return weight;
}

/** @throws UsageError */
export function checkReason(text: string): string {
  if (/^[ -~]{1,64}$/.test(text) && text.trim() === text) return text;
  throw new UsageError(`the reason is 1 to 64 printable ASCII characters, found ${JSON.stringify(text.slice(0, 80))}`);
}

export function renderDemotion({ total, reasons }: DemoteResult): string {
  const list = reasons.map(({ reason, weight }) => `${clean(reason)} ${weight}`).join(', ');
  return `demotion ${total}${list ? ` (${list})` : ''}\n`;
}

export const command: Command = {
  name: 'demote',
  positionals: ['WEIGHT'],
  options: [{ name: 'reason', value: 'TEXT', help: 'why; also the name to undemote by (needed)' }, ...SOCKET_OPTIONS],
  details: `
Lowers this node's standing by WEIGHT (1 to 254; 240 is enough to lose every role to a healthy peer) until
carpio undemote TEXT. The same reason again replaces its weight. A negative weight is taken as it is, but never makes the
node better than its configured advskew.`,
  async run(args, io) {
    const weight = parseWeight(args.positionals[0]!);
    const { reason } = args.options;
    if (typeof reason !== 'string') throw new UsageError('--reason TEXT is missing');
    const result = await askNode(args, 'demote', { weight, reason: checkReason(reason) });
    await io.out(renderDemotion(asObject<DemoteResult>(result)));
    return EXIT.done;
  },
};

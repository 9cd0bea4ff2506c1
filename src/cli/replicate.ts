import type { ReplicateStatus } from '../contract/status.ts';
import type { Plan } from '../replicate/plan.ts';
import type { PushResult } from '../replicate/source.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';
import { planText, pushText, replicateText } from './replicate-text.ts';
import { painter } from './text.ts';

/** A push checks, applies, proves and waits for a confirmation of at most a minute; ms. */
const PATIENCE_MS = 120_000;

export const command: Command = {
  name: 'replicate',
  positionals: ['plan|push|status'],
  options: [{ name: 'json', help: 'print the result as JSON' }, ...SOCKET_OPTIONS],
  details: `
Keeps what both nodes share the same: virtual IPs, rules, tracking, sync policy. [replicate] from names the node that it
comes from; the plan and the push are asked for there. What is a node's own (devices, addresses, advskew, keys, feed)
never travels.
  plan    what the files here would change on the other node, what that does, and whether it and its kernel would take it;
          changes nothing, and may be asked before a reload
  push    applies it there in one transaction, reads back what that kernel holds, and has it kept; if anything is not
          as it should be, the other node goes back to what it had
  status  whether both hold the same, and what somebody has changed by hand
Exit: 0 the same / applied / can be applied, 1 not, 2 (status) could not tell.`,
  async run(args, io) {
    const [what] = args.positionals;
    const json = args.options.json === true;
    const paint = painter(io.colour && !json);
    const show = (value: unknown, text: string): Promise<void> =>
      io.out(json ? `${JSON.stringify(value, null, 2)}\n` : text);
    const options = { timeoutMs: PATIENCE_MS };
    switch (what) {
      case 'plan': {
        const plan = asObject<Plan>(await askNode(args, 'replicate.plan', {}, options));
        await show(plan, planText(plan, paint));
        return plan.errors.length === 0 ? EXIT.done : EXIT.no;
      }
      case 'push': {
        const result = asObject<PushResult>(await askNode(args, 'replicate.push', {}, options));
        await show(result, pushText(result, paint));
        return result.done ? EXIT.done : EXIT.no;
      }
      case 'status': {
        const status = asObject<ReplicateStatus>(await askNode(args, 'replicate.status', {}));
        await show(status, replicateText(status, paint));
        if (status.same === null) return EXIT.wrong;
        return status.same && status.drift.length + status.peer_drift.length === 0 ? EXIT.done : EXIT.no;
      }
      default:
        throw new UsageError(`found ${JSON.stringify(what)}, allowed plan, push, status`);
    }
  },
};

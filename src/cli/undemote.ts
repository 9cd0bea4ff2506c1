import type { DemoteResult } from '../contract/control.ts';
import { type Command, EXIT } from './command.ts';
import { checkReason, renderDemotion } from './demote.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

export const command: Command = {
  name: 'undemote',
  positionals: ['REASON'],
  options: [...SOCKET_OPTIONS],
  details: `
Takes back what carpio demote --reason REASON did. Exit 1 when there is no manual demotion of that name: reasons that Carpio
raises itself (a link that is down, states not in step) end when their cause ends.`,
  async run(args, io) {
    const result = await askNode(args, 'undemote', { reason: checkReason(args.positionals[0]!) });
    await io.out(renderDemotion(asObject<DemoteResult>(result)));
    return EXIT.done;
  },
};

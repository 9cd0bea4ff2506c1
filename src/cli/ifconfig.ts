import type { NodeStatus } from '../contract/status.ts';
import { type Command, EXIT } from './command.ts';
import { renderIfconfig } from './ifconfig-text.ts';
import { askNode, asObject, SOCKET_OPTIONS } from './node-call.ts';

export const command: Command = {
  name: 'ifconfig',
  positionals: [],
  options: [...SOCKET_OPTIONS],
  details: `
Shows the interfaces that carry virtual addresses as ifconfig does on a BSD: each address with its vhid, then
carp: STATE vhid N advbase N advskew N. Only shows; the configuration is where things are changed.`,
  async run(args, io) {
    await io.out(renderIfconfig(asObject<NodeStatus>(await askNode(args, 'status', {}))));
    return EXIT.done;
  },
};

import { DEFAULT_CONFIG } from '../config/default-paths.ts';
import type { Command } from './command.ts';

export const command: Command = {
  name: 'run',
  positionals: [],
  options: [
    { name: 'config', value: 'FILE', help: `configuration (default ${DEFAULT_CONFIG})` },
    {
      name: 'log-format',
      value: 'FORMAT',
      choices: ['text', 'json'],
      help: 'text or json lines on standard error (default text)',
    },
    { name: 'record', value: 'FILE', help: 'write what enters the state machines to FILE, for carpio replay' },
  ],
  details: `
Runs the node in the foreground; logs go to standard error.
SIGHUP reads the configuration again (one that does not pass its checks changes nothing); SIGTERM and SIGINT hand over to
the peer, then stop. A configuration that is not sound is refused before anything is touched.
A recording is bounded: at 64 MiB FILE becomes FILE.1, four files are kept; no keys or pass phrases are in it (mode 0600).`,
  async run(args, io) {
    const { config, 'log-format': format, record } = args.options;
    const recordPath = typeof record === 'string' ? record : null;
    const configPath = typeof config === 'string' ? config : DEFAULT_CONFIG;
    return io.native.runNode({ configPath, logFormat: format === 'json' ? 'json' : 'text', recordPath });
  },
};

import { type Command, EXIT, UsageError } from './command.ts';
import { completionScript, type Described, SHELLS, type Shell } from './completion/scripts.ts';

const isShell = (word: string | undefined): word is Shell => SHELLS.some((shell) => shell === word);

/** @param describe all commands of the program, this one among them */
export const completionCommand = (describe: () => Promise<Described[]>): Command => ({
  name: 'completion',
  positionals: [SHELLS.join('|')],
  options: [],
  details: `
Prints a completion script for a shell: carpio completion bash > /etc/bash_completion.d/carpio. The Debian package brings all
three in their places.`,
  async run({ positionals: [shell] }, io) {
    if (!isShell(shell)) throw new UsageError(`found ${shell}, allowed ${SHELLS.join(', ')}`);
    await io.out(completionScript(shell, await describe()));
    return EXIT.done;
  },
});

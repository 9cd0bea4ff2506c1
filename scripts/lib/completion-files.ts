/** Where the shells of a Debian look for completion, and what they find there. */
import { completionScript } from '../../src/cli/completion/scripts.ts';
import { describeCommands } from '../../src/cli/registry.ts';

/** @returns path in the package -> text */
export async function completionFiles(): Promise<Record<string, string>> {
  const commands = await describeCommands();
  return {
    'usr/share/bash-completion/completions/carpio': completionScript('bash', commands),
    'usr/share/zsh/vendor-completions/_carpio': completionScript('zsh', commands),
    'usr/share/fish/vendor_completions.d/carpio.fish': completionScript('fish', commands),
  };
}

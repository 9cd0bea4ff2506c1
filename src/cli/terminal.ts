/** Questions at the terminal, or lines of standard input. */
import { createInterface } from 'node:readline';

/** Asks one line; `null`: the input has ended. */
type AskLine = (prompt: string) => Promise<string | null>;

/**
 * Lines are kept from the first on, so that an answer which was pasted together with the one before it is not lost. The
 * questions go to standard error.
 */
export function terminal(): { ask: AskLine; close(): void } {
  const lines: string[] = [];
  const input = createInterface({ input: process.stdin, output: process.stderr });
  let ended = false;
  let wake: () => void = () => {};
  input.on('line', (line) => {
    lines.push(line);
    wake();
  });
  input.on('close', () => {
    ended = true;
    wake();
  });
  const ask: AskLine = async (prompt) => {
    input.setPrompt(prompt);
    input.prompt();
    while (lines.length === 0 && !ended) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return lines.shift() ?? null;
  };
  return { ask, close: () => input.close() };
}

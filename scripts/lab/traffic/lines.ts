/** The traffic programs' side of their pipe: one JSON object a line in, one a line out; the end of input ends them. */
import { createInterface } from 'node:readline';

export interface Command {
  cmd: string;
  [argument: string]: unknown;
}

export function tell(message: { type: string; [field: string]: unknown }): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/**
 * @param act called for every command; its result is told with the command's name as type
 * @param lifetimeS the program ends after that, whatever happens
 */
export function obey(act: (command: Command) => object | Promise<object>, lifetimeS: number): void {
  const input = createInterface({ input: process.stdin });
  input.on('line', async (line) => {
    const command = JSON.parse(line) as Command;
    tell({ ...(await act(command)), type: command.cmd });
  });
  input.on('close', () => process.exit(0));
  setTimeout(() => process.exit(0), lifetimeS * 1000).unref();
}

/** The n-th command line argument as a number. */
export const numberArgument = (n: number): number => Number(process.argv[1 + n]);
export const textArgument = (n: number): string => process.argv[1 + n] ?? '';

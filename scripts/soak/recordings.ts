/** At the end of a soak: what the daemons recorded, run again through the same machines. */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Replay } from '../../src/recording/replay.ts';
import { pathsOf } from '../lab/config.ts';
import { FIREWALLS } from '../lab/plan.ts';

/** Every start of a daemon begins a file, and four are kept. */
const ENDINGS = ['', '.1', '.2', '.3'];

interface Recorded {
  steps: number;
  problems: string[];
}

export async function replayAll(): Promise<Recorded> {
  const all: Recorded = { steps: 0, problems: [] };
  for (const node of FIREWALLS) {
    for (const ending of ENDINGS) {
      const file = `${pathsOf(node).record}${ending}`;
      if (existsSync(file)) await replayFile(file, all);
    }
  }
  return all;
}

async function replayFile(file: string, all: Recorded): Promise<void> {
  const replay = new Replay();
  const lines = createInterface({ input: createReadStream(file) });
  // One behind, because the last line of a daemon that was killed, or still writes, may have no end.
  let last: string | null = null;
  for await (const line of lines) {
    if (last !== null) replay.take(last);
    last = line;
  }
  if (last !== null) replay.take(last, false);
  const { steps, difference, missing, damaged } = replay.report;
  all.steps += Object.values(steps).reduce((sum, n) => sum + n, 0);
  if (difference !== null) all.problems.push(`${file} replays differently: ${JSON.stringify(difference)}`);
  if (missing > 0) all.problems.push(`${file}: ${missing} steps are missing`);
  for (const { line, reason } of damaged) all.problems.push(`${file} line ${line}: ${reason}`);
}

/**
 * After a machine was changed on purpose: runs the golden recordings' events through the machines as they are now, and
 * writes what these answer into the recordings. What changed is told; whether it should have is for a person to say.
 *
 *   node scripts/renew-recordings.ts
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { MachineName } from '../src/contract/tap.ts';
import { decodeValue, encodeValue } from '../src/contract/tap-values.ts';
import { type Line, upgraded } from '../src/recording/formats.ts';
import { runMachine } from '../src/recording/machines.ts';

/** @returns the file's lines with today's answers */
function renewed(lines: readonly string[]): string[] {
  const states = new Map<MachineName, unknown>();
  return lines.map((text) => {
    const line = upgraded(decodeValue(text) as Line);
    if (line.state !== undefined) {
      const state = states.get(line.m);
      if (state === undefined) states.set(line.m, line.state);
      return state === undefined ? text : text.replace(/"state":.*$/, () => `"state":${encodeValue(state)}}`);
    }
    if (line.in === undefined) return text;
    const actions = runMachine(line.m, states.get(line.m), line.in);
    const at = text.lastIndexOf(',"out":');
    return `${text.slice(0, at)},"out":${encodeValue(actions)}}`;
  });
}

if (process.argv[1]?.endsWith('renew-recordings.ts')) {
  for (const file of globSync(new URL('../test/vectors/data/*.jsonl.gz', import.meta.url).pathname)) {
    const lines = gunzipSync(readFileSync(file)).toString('utf8').trimEnd().split('\n');
    const fresh = renewed(lines);
    const changed = fresh.filter((line, i) => line !== lines[i]).length;
    if (changed > 0) writeFileSync(file, gzipSync(`${fresh.join('\n')}\n`, { level: 9 }));
    process.stdout.write(`${file}: ${changed} of ${lines.length} lines answer differently now\n`);
  }
}

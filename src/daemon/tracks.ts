/** `[[track]]` of kind script and file: what else lowers this node's standing. Links are watched by the election itself. */
import { execFile } from 'node:child_process';
import { access } from 'node:fs';
import type { TrackConfig } from '../config/types.ts';
import { start } from '../kernel/spawn.ts';

export interface TrackPorts {
  demote(reason: string, weight: number): void;
  undemote(reason: string): void;
  warn(message: string): void;
}

type Watched = Extract<TrackConfig, { kind: 'script' | 'file' }>;

/**
 * A script that ends with another code than 0, or not in time, demotes; so does a file while it is there. Each is
 * looked at every `interval` seconds, never two runs of one at a time.
 */
export function startTracks(tracks: TrackConfig[], ports: TrackPorts): { close(): void } {
  const timers: NodeJS.Timeout[] = [];
  for (const track of tracks) {
    if (track.kind === 'link') continue;
    const look = tracker(track, ports);
    look();
    timers.push(setInterval(look, track.interval * 1000));
  }
  return {
    close: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

function tracker(track: Watched, ports: TrackPorts): () => void {
  const reason = `${track.kind}:${track.name}`;
  let running = false;
  let good: boolean | null = null;
  const found = (ok: boolean, why: string): void => {
    running = false;
    if (ok === good) return;
    good = ok;
    if (ok) ports.undemote(reason);
    else {
      ports.warn(`track ${reason}: ${why}`);
      ports.demote(reason, track.weight);
    }
  };
  return () => {
    if (running) return;
    running = true;
    if (track.kind === 'file') {
      access(track.path, (error) => found(error !== null, `${track.path} is there`));
      return;
    }
    const limits = { timeout: track.timeout * 1000, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 } as const;
    start(track.path, [], (program, args) =>
      execFile(program, args, limits, (error) => {
        const code = error === null ? 0 : (error.code ?? 'no answer in time');
        found(error === null, `${track.path} ended with ${code}`);
      }),
    );
  };
}

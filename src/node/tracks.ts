/**
 * `[[track]]` of kind script and file: what else lowers this node's standing. Links are watched by the election itself.
 */
import { execFile } from 'node:child_process';
import { access } from 'node:fs';
import type { TrackConfig } from '../config/types.ts';
import { start } from '../kernel/spawn.ts';

interface TrackPorts {
  demote(reason: string, weight: number): void;
  undemote(reason: string): void;
  warn(message: string): void;
}

type Watched = Extract<TrackConfig, { kind: 'script' | 'file' }>;

/**
 * A script that ends with another code than 0, or not in time, demotes; so does a file while it is there. Each is
 * looked at every `interval` seconds, never two runs of one at a time.
 */
export class Tracks {
  private readonly ports: TrackPorts;
  private readonly demoted = new Set<string>();
  private timers: NodeJS.Timeout[] = [];
  /** What a run that began before the last change finds is of no interest. */
  private generation = 0;

  constructor(ports: TrackPorts) {
    this.ports = ports;
  }

  /** Watches these from now on. What a track that is gone has demoted is taken back. */
  watch(tracks: readonly TrackConfig[]): void {
    this.close();
    const watched = tracks.filter((track) => track.kind !== 'link');
    const reasons = new Set(watched.map(reasonOf));
    for (const reason of this.demoted) if (!reasons.has(reason)) this.found(reason, true);
    for (const track of watched) {
      const look = this.tracker(track);
      look();
      this.timers.push(setInterval(look, track.interval * 1000));
    }
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    this.generation += 1;
  }

  private found(reason: string, ok: boolean, weight = 0): void {
    if (!ok) {
      this.demoted.add(reason);
      this.ports.demote(reason, weight);
    } else if (this.demoted.delete(reason)) this.ports.undemote(reason);
  }

  private tracker(track: Watched): () => void {
    const reason = reasonOf(track);
    const begun = this.generation;
    let running = false;
    let good: boolean | null = null;
    const found = (ok: boolean, why: string): void => {
      running = false;
      if (ok === good || begun !== this.generation) return;
      good = ok;
      if (!ok) this.ports.warn(`track ${reason}: ${why}`);
      this.found(reason, ok, track.weight);
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
}

const reasonOf = (track: Watched): string => `${track.kind}:${track.name}`;

/** Virtual time: what shall happen when, in whole microseconds. Equal times happen in the order they were asked for. */

export interface Job {
  at: number;
  seq: number;
  run: (() => void) | null;
}

/** A binary heap of jobs. */
export class Calendar {
  now = 0;
  /** Jobs that have run. */
  steps = 0;
  private readonly heap: Job[] = [];
  private seq = 0;

  at(time: number, run: () => void): Job {
    const job = { at: Math.max(this.now, Math.floor(time)), seq: this.seq++, run };
    const { heap } = this;
    let i = heap.length;
    heap.push(job);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Job;
      if (!before(job, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = job;
    return job;
  }

  after(us: number, run: () => void): Job {
    return this.at(this.now + us, run);
  }

  /** Runs the next job that is due until `time`. @returns false when there is none: then it is `time` */
  step(time: number): boolean {
    for (;;) {
      const job = this.heap[0];
      if (job === undefined || job.at > time) {
        this.now = Math.max(this.now, time);
        return false;
      }
      this.pop();
      if (job.run === null) continue;
      this.now = job.at;
      this.steps += 1;
      job.run();
      return true;
    }
  }

  get waiting(): number {
    return this.heap.length;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Job;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Job, heap[child] as Job)) child += 1;
      if (!before(heap[child] as Job, last)) break;
      heap[i] = heap[child] as Job;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Job, b: Job): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}

/** Takes a job back. */
export function cancel(job: Job): void {
  job.run = null;
}

export type Random = () => number;

/** mulberry32: small, fast, the same everywhere. */
export function seeded(seed: number): Random {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

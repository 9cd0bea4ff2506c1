/** Work on the whole table that is done a slice at a time, so that the loop never stops for it. */
interface Task {
  step(): boolean;
  done(): void;
}

export class Tasks {
  private readonly running = new Map<string, Task>();
  private readonly between: () => void;

  /** @param between after each slice */
  constructor(between: () => void) {
    this.between = between;
  }

  /** Begins, or begins anew: `step` does one slice and says whether there is more. */
  begin(name: string, step: () => boolean, done: () => void = () => {}): void {
    this.running.set(name, { step, done });
  }

  /** Ends it where it is; `done` is not called. */
  end(name: string): void {
    this.running.delete(name);
  }

  has(name: string): boolean {
    return this.running.has(name);
  }

  busy(): boolean {
    return this.running.size > 0;
  }

  /** One slice of each. */
  work(): void {
    for (const [name, task] of this.running) {
      const more = task.step();
      this.between();
      if (more) continue;
      this.running.delete(name);
      task.done();
    }
  }
}

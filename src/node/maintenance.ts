/**
 * Maintenance mode: remembers it over a restart, and answers the one who asked when the hand-over is done or is not.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MaintenanceResult } from '../contract/control.ts';
import type { NodeEvent } from '../contract/events.ts';
import { messageOf } from '../contract/message-of.ts';
import { causeText } from '../contract/words.ts';
import type { Log } from './report/log.ts';

type Waiting = { on: boolean; answer(result: MaintenanceResult): void };

export class HandOver {
  private readonly directory: string;
  private readonly file: string;
  private readonly log: Log;
  private waiting: Waiting[] = [];
  private last: MaintenanceResult & { on: boolean } = { on: false, done: true, reason: 'not in maintenance' };

  constructor(stateDir: string, log: Log) {
    this.directory = stateDir;
    this.file = join(stateDir, 'maintenance');
    this.log = log;
  }

  /** Was the mode on when the node last ran? */
  wasOn(): boolean {
    return existsSync(this.file);
  }

  /**
   * Hands over also when the mode cannot be remembered (a read-only or full disk is a good reason for maintenance);
   * then the answer says that it will not outlive a restart.
   * @param begin starts it in the election; what the election reports in turn ends the waiting
   */
  change(on: boolean, signal: AbortSignal, begin: () => void): Promise<MaintenanceResult> {
    const forgetful = this.remember(on);
    return new Promise((resolve) => {
      const answer = ({ done, reason }: MaintenanceResult): void =>
        resolve({ done, reason: forgetful === null ? reason : `${reason}; ${forgetful}` });
      const waiting: Waiting = { on, answer };
      const repeated = this.last.on === on && this.last.done;
      this.waiting.push(waiting);
      signal.addEventListener('abort', () => {
        this.waiting = this.waiting.filter((one) => one !== waiting);
      });
      begin();
      // A mode that was on already causes no event.
      if (repeated) this.settle(this.last);
    });
  }

  onEvent(event: NodeEvent): void {
    if (event.kind !== 'carp.maintenance') return;
    const { on, done, cause } = event;
    this.settle({ on, done, reason: causeText(cause) });
  }

  private settle(result: MaintenanceResult & { on: boolean }): void {
    this.last = result;
    const mine = this.waiting.filter((one) => one.on === result.on);
    this.waiting = this.waiting.filter((one) => one.on !== result.on);
    for (const one of mine) one.answer({ done: result.done, reason: result.reason });
  }

  /** @returns what will not outlive a restart, and why; null: it is remembered */
  private remember(on: boolean): string | null {
    try {
      if (!on) {
        rmSync(this.file, { force: true });
        return null;
      }
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      const next = `${this.file}.new`;
      writeFileSync(next, `${new Date().toISOString()}\n`);
      renameSync(next, this.file);
      this.log.info(`maintenance is on and stays on over a restart (${this.file})`);
      return null;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? messageOf(error);
      const said = `"${on ? 'on' : 'off'}" will not outlive a restart: ${this.directory} cannot be written (${code})`;
      this.log.warning(said);
      return said;
    }
  }
}

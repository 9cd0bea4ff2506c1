/**
 * Keeps the kernel's rules for `defer` in place while the node runs. The control thread does it, because the dataplane
 * loop has no time to wait for nft. Without the rules no packet is held, and that is reported.
 */
import { messageOf } from '../../contract/message-of.ts';
import type { SyncNotice } from '../../contract/sync-notice.ts';

/** The rules are looked for this often: a reload of somebody's ruleset may flush them. */
const LOOK_MS = 2000;

/** `kernel/defer-rules.ts`, or a test's. */
interface DeferRules {
  /** @throws Error in one line */
  put(): Promise<void>;
  /** One system call. */
  there(): boolean;
  /** Resolves with why they are still there, or null. */
  remove(): Promise<string | null>;
}

interface KeeperPorts {
  notice(notice: SyncNotice): void;
  warn(message: string): void;
}

export class DeferRuleKeeper {
  private readonly rules: DeferRules;
  private readonly ports: KeeperPorts;
  private timer: NodeJS.Timeout | null = null;
  private busy: Promise<void> | null = null;
  /** Why there are no rules, as last reported. */
  private missing: string | null = null;

  constructor(rules: DeferRules, ports: KeeperPorts) {
    this.rules = rules;
    this.ports = ports;
  }

  /** @param wanted false: only the rules that a killed run has left are removed */
  async begin(wanted: boolean): Promise<void> {
    if (!wanted) {
      await this.remove();
      return;
    }
    await this.put();
    this.timer = setInterval(() => this.restore(), LOOK_MS);
    this.timer.unref();
  }

  /** Puts the rules in again when somebody has removed them; one attempt at a time. */
  restore(): void {
    if (this.timer === null || this.busy !== null || this.rules.there()) return;
    this.busy = this.put().finally(() => {
      this.busy = null;
    });
  }

  /** To be awaited before the queue's listener ends: it still releases in order what waits. */
  async close(): Promise<void> {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    await this.busy;
    await this.remove();
  }

  private async put(): Promise<void> {
    try {
      await this.rules.put();
      this.say(null);
    } catch (error) {
      this.say(messageOf(error));
    }
  }

  private async remove(): Promise<void> {
    const left = await this.rules.remove();
    if (left !== null) this.ports.warn(`the rules of [sync] defer stay (harmless, nobody listens to them): ${left}`);
  }

  private say(missing: string | null): void {
    if (missing === this.missing) return;
    this.missing = missing;
    this.ports.notice({ kind: 'sync.defer', on: missing === null, reason: missing });
  }
}

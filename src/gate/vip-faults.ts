/**
 * A vhid whose device or address somebody took away says so at once (INIT, and the peer leads); what is missing is put
 * back after a while that grows when it is taken away again and again.
 */

import type { VhidKey } from '../contract/vhid-key.ts';

/** Ms: the first wait, the longest, and how long a repair must have held to count as good. */
const FIRST = 1000;
const LONGEST = 60_000;
const FORGET = 120_000;

interface VipFaultPorts {
  /** `reason` null: the vhid is whole again. */
  tell(key: VhidKey, reason: string | null): void;
  /** Resolves with what failed, or null. */
  repair(key: VhidKey): Promise<string | null>;
  warn(message: string): void;
}

interface Broken {
  timer: NodeJS.Timeout | null;
  wait: number;
  mendedAt: number;
}

export class VipFaults {
  private readonly ports: VipFaultPorts;
  private readonly broken = new Map<string, Broken>();

  constructor(ports: VipFaultPorts) {
    this.ports = ports;
  }

  found(key: VhidKey, reason: string): void {
    const known = this.broken.get(key);
    if (known?.timer) return;
    const recent = known !== undefined && performance.now() - known.mendedAt < FORGET;
    const wait = recent ? Math.min(LONGEST, known.wait * 2) : FIRST;
    const entry: Broken = { timer: null, wait, mendedAt: 0 };
    this.broken.set(key, entry);
    this.ports.tell(key, reason);
    this.later(key, entry);
  }

  close(): void {
    for (const { timer } of this.broken.values()) if (timer !== null) clearTimeout(timer);
    this.broken.clear();
  }

  private later(key: VhidKey, entry: Broken): void {
    entry.timer = setTimeout(async () => {
      const failed = await this.ports.repair(key);
      if (this.broken.get(key) !== entry) return;
      entry.timer = null;
      if (failed === null) {
        entry.mendedAt = performance.now();
        this.ports.tell(key, null);
        return;
      }
      this.ports.warn(`${key}: ${failed}`);
      entry.wait = Math.min(LONGEST, entry.wait * 2);
      this.later(key, entry);
    }, entry.wait);
  }
}

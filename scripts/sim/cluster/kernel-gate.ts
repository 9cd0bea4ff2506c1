/**
 * The gates in the kernel of a simulated box (src/gate/): an element for each vhid that lives for a while after each
 * beat. The kernel's clock is the machine's: it stands still when the machine does.
 */
import { GATE } from '../../../src/contract/carp-timers.ts';
import type { VhidKey } from '../../../src/contract/vhid-key.ts';
import type { GateOrder } from '../../../src/gate/runner.ts';
import type { Box } from './box.ts';

/** The coarsest tick of a kernel (CONFIG_HZ 100), us. */
const TICK_US = 10_000;

export class SimGate {
  /** Keys of the gates that are open. */
  readonly open = new Set<string>();
  private readonly box: Box;
  /** By key, the box's time. */
  private readonly endsUs = new Map<string, number>();
  private readonly openedAt = new Map<string, number>();
  private life = 0;

  constructor(box: Box) {
    this.box = box;
  }

  /** What only passes is held by nobody: traffic follows the switches (traffic.ts). */
  send(kind: GateOrder, keys: readonly VhidKey[]): void {
    for (const key of keys) {
      if (kind === 'pass') continue;
      if (kind === 'close') this.shut(key);
      else if (this.box.world.bug?.noAddress !== true) this.renew(key);
    }
  }

  /** For how long it has been open, us. */
  openForUs(key: string): number {
    return this.box.world.calendar.now - (this.openedAt.get(key) ?? Number.POSITIVE_INFINITY);
  }

  /** The power goes, or the node has let go of everything. */
  clear(): void {
    this.life += 1;
    this.open.clear();
    this.endsUs.clear();
  }

  /** What is over by the machine's clock: also after it stood still. */
  expire(): void {
    const now = this.box.nowUs();
    for (const [key, end] of this.endsUs) if (end <= now) this.shut(key);
  }

  private shut(key: string): void {
    this.open.delete(key);
    this.endsUs.delete(key);
  }

  private renew(key: VhidKey): void {
    const was = this.open.has(key);
    this.open.add(key);
    this.endsUs.set(key, this.box.nowUs() + GATE.timeoutUs + this.box.world.random() * TICK_US);
    if (was) return;
    this.openedAt.set(key, this.box.world.calendar.now);
    this.box.world.watch.opened(this.box, key);
    this.arm(key);
  }

  /** One job for each open gate is enough: it looks again when beats have moved the end. */
  private arm(key: string): void {
    const { life, box } = this;
    const end = this.endsUs.get(key);
    if (end === undefined || box.world.bug?.noTimeout === true) return;
    box.world.calendar.after(Math.max(100, end - box.nowUs()), () => {
      if (life !== this.life || !box.powered) return;
      if (!box.frozen) this.expire();
      if (this.open.has(key)) this.arm(key);
    });
  }
}

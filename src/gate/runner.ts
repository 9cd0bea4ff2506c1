/** Runs the gate machine on a clock: frames to the kernel's gate, and who must know when one has opened or closed. */
import type { Clock } from '../contract/clock.ts';
import { messageOf } from '../contract/message-of.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import type { Gate, GateAction, GateEvent } from './machine.ts';
import { createGates, gatesDeadline, openGates, stepGates } from './machine.ts';

export type GateOrder = 'open' | 'pass' | 'close';

interface GatePorts {
  /**
   * Opens these gates in the kernel, opens them for what is forwarded only (both also renew), or closes them. @throws
   * Error
   */
  send(kind: GateOrder, keys: readonly VhidKey[]): void;
  /** A gate has just opened; `waited`: after it was MASTER already. */
  opened(key: VhidKey, waited: boolean): void;
  closed(key: VhidKey): void;
  /** Looks at the election's clock, which steps down after a sleep, and then feeds `look`. */
  look(): void;
  /** Once for each failure that is another one than before. */
  warn(message: string): void;
}

export class Gates {
  readonly #state = createGates();
  readonly #ports: GatePorts;
  readonly #clock: Clock;
  #timer: (() => void) | null = null;
  #failed = '';

  constructor(ports: GatePorts, clock: Clock) {
    this.#ports = ports;
    this.#clock = clock;
  }

  feed(event: GateEvent): void {
    for (const action of stepGates(this.#state, event, this.#clock.nowUs())) this.#perform(action);
    this.#arm();
  }

  /** Null: not a vhid that ever had a role. */
  gate(key: VhidKey): Gate | null {
    return this.#state.gates[key] ?? null;
  }

  isOpen(key: VhidKey): boolean {
    return this.#state.gates[key]?.phase === 'open';
  }

  get open(): VhidKey[] {
    return openGates(this.#state);
  }

  /** After the kernel's table was made anew: what it must know of again. */
  renew(): void {
    const { gates } = this.#state;
    const all = Object.keys(gates) as VhidKey[];
    const of = (phase: Gate['phase']): VhidKey[] => all.filter((key) => gates[key]?.phase === phase);
    this.#send('close', of('closed'));
    this.#send('open', of('open'));
    this.#send('pass', of('waits'));
  }

  close(): void {
    this.#timer?.();
    this.#timer = null;
  }

  #perform(action: GateAction): void {
    switch (action.type) {
      case 'open':
        this.#send('open', [action.key]);
        this.#ports.opened(action.key, action.waited);
        break;
      case 'pass':
        this.#send('pass', [action.key]);
        break;
      case 'close':
        // Twice: a frame that the loopback device had no room for would leave the gate open for one more life.
        this.#send('close', [action.key, action.key]);
        this.#ports.closed(action.key);
        break;
      case 'beat':
        this.#send('open', action.open);
        this.#send('pass', action.passing);
        break;
    }
  }

  #send(kind: GateOrder, keys: readonly VhidKey[]): void {
    try {
      this.#ports.send(kind, keys);
      this.#failed = '';
    } catch (error) {
      const message = messageOf(error);
      if (message !== this.#failed) this.#ports.warn(`the gate cannot be renewed, and closes: ${message}`);
      this.#failed = message;
    }
  }

  #arm(): void {
    this.#timer?.();
    this.#timer = null;
    const due = gatesDeadline(this.#state);
    if (due === null) return;
    const wait = Math.max(0, Math.ceil((due - this.#clock.nowUs()) / 1000));
    this.#timer = this.#clock.later(wait, () => this.#ports.look());
  }
}

/**
 * The node as a service: what systemd is told (sd_notify(3)) and what a hardware watchdog is fed. Both are told "alive"
 * only while the control thread turns (this timer runs on it) *and* the dataplane turns (the port `fault`).
 */

import { messageOf } from '../contract/message-of.ts';
import type { NodeStatus } from '../contract/status.ts';
import { NotifySocket } from '../kernel/notify-socket.ts';
import { WatchdogDevice } from '../kernel/watchdog-device.ts';

/** The shortest beat, ms: also of a manager that asks for more. */
const MIN_BEAT_MS = 100;
/** The longest, ms: the status line follows that fast. */
const MAX_BEAT_MS = 1000;

interface ServicePorts {
  /** What keeps the node from being alive; `null`: nothing. */
  fault(): string | null;
  /** One line for `systemctl status`. */
  line(): string;
  warn(message: string): void;
}

interface WatchdogSettings {
  device: string;
  timeoutS: number;
}

interface Notifier {
  send(text: string): boolean;
  close(): void;
}

interface Fed {
  readonly timeoutS: number;
  feed(): void;
  disarm(): void;
}

/** How the two are opened; tests give their own. */
export interface ServiceDoors {
  notify(name: string): Notifier;
  watchdog(settings: WatchdogSettings): Fed;
}

const DOORS: ServiceDoors = {
  notify: (name) => new NotifySocket(name),
  watchdog: ({ device, timeoutS }) => new WatchdogDevice(device, timeoutS),
};

export class Service {
  private readonly ports: ServicePorts;
  private readonly doors: ServiceDoors;
  private readonly env: NodeJS.ProcessEnv;
  private notifier: Notifier | null = null;
  private device: Fed | null = null;
  private timer: NodeJS.Timeout | null = null;
  private lastFault: string | null = null;
  private lastLine = '';

  constructor(env: NodeJS.ProcessEnv, ports: ServicePorts, doors: ServiceDoors = DOORS) {
    this.env = env;
    this.ports = ports;
    this.doors = doors;
    const name = env.NOTIFY_SOCKET;
    if (name !== undefined && name !== '') this.notifier = this.attempt(() => doors.notify(name));
  }

  /** The node runs: READY=1, and from now on it must prove that it lives. */
  ready(watchdog: WatchdogSettings | null): void {
    if (watchdog !== null) this.device = this.attempt(() => this.doors.watchdog(watchdog));
    this.say('READY=1');
    const beats = [managerBeatMs(this.env), this.device === null ? null : (this.device.timeoutS * 1000) / 4];
    const wanted = beats.filter((beat) => beat !== null);
    if (this.notifier === null && wanted.length === 0) return;
    this.timer = setInterval(() => this.beat(), Math.max(MIN_BEAT_MS, Math.min(MAX_BEAT_MS, ...wanted)));
    this.timer.unref();
    this.beat();
  }

  /** @param monotonicUs the clock of CLOCK_MONOTONIC: Type=notify-reload asks for it */
  reloading(monotonicUs: number): void {
    this.say(`RELOADING=1\nMONOTONIC_USEC=${Math.round(monotonicUs)}`);
  }

  reloaded(): void {
    this.say('READY=1');
  }

  stopping(): void {
    this.say('STOPPING=1');
  }

  /** A node that stops as told must not be followed by a reset. */
  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    if (this.device !== null) this.attempt(() => this.device?.disarm());
    this.device = null;
    this.notifier?.close();
    this.notifier = null;
  }

  private beat(): void {
    const line = this.ports.line();
    if (line !== this.lastLine) this.say(`STATUS=${line.replaceAll(/\p{Cc}+/gu, ' ')}`);
    this.lastLine = line;
    const fault = this.ports.fault();
    if (fault !== this.lastFault && fault !== null) this.ports.warn(`the watchdog is not fed: ${fault}`);
    this.lastFault = fault;
    if (fault !== null) return;
    this.say('WATCHDOG=1');
    try {
      this.device?.feed();
    } catch (error) {
      this.ports.warn(`watchdog: ${messageOf(error)}`);
      this.device = null;
    }
  }

  private say(text: string): void {
    this.notifier?.send(text);
  }

  private attempt<T>(act: () => T): T | null {
    try {
      return act();
    } catch (error) {
      this.ports.warn(`service: ${messageOf(error)}`);
      return null;
    }
  }
}

/** Half of what the manager allows (sd_watchdog_enabled(3)); `null`: it does not watch this process. */
export function managerBeatMs(env: NodeJS.ProcessEnv, pid = process.pid): number | null {
  const us = Number(env.WATCHDOG_USEC);
  if (!Number.isFinite(us) || us <= 0) return null;
  if (env.WATCHDOG_PID !== undefined && Number(env.WATCHDOG_PID) !== pid) return null;
  return us / 2000;
}

/** The node in one line: its role, its peer, whether they are in step. */
export function serviceLine({ role, carp, sync }: NodeStatus): string {
  const parts = [`${role}, ${carp.vips.length} vhids`];
  if (carp.demotion.total > 0) parts.push(`demoted by ${carp.demotion.reasons.map((r) => r.reason).join(', ')}`);
  if (sync !== null) {
    parts.push(
      sync.peer.alive ? `peer ${sync.peer.node ?? '?'} ${sync.peer.role ?? 'alive'}` : 'no peer on the sync link',
    );
    const step = sync.in_step === null ? 'not known to be in step' : sync.in_step ? 'in step' : 'NOT in step';
    parts.push(`${sync.states.total} states ${step}`);
  }
  return parts.join('; ');
}

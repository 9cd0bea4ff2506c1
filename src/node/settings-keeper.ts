/**
 * Looks after the kernel settings that this node needs and has set: what somebody changes is set again and said.
 * (A `sysctl --system` by a package's script does it, and the NIC would answer ARP for the virtual addresses.)
 */
import type { FirewallEvent } from '../contract/events.ts';
import { messageOf } from '../contract/message-of.ts';
import type { SettingChanged } from '../kernel/sysctl.ts';

const LOOK_MS = 1000;

interface SettingsPorts {
  /** Sets again what was changed, and tells it. */
  putBack(): SettingChanged[];
  publish(event: FirewallEvent): void;
  warn(message: string): void;
}

export class SettingsKeeper {
  readonly #ports: SettingsPorts;
  #timer: NodeJS.Timeout | null = null;
  /** Those that cannot be set are said once. */
  readonly #failed = new Set<string>();

  constructor(ports: SettingsPorts) {
    this.#ports = ports;
  }

  begin(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  look(): void {
    try {
      for (const changed of this.#ports.putBack()) this.#tell(changed);
    } catch (error) {
      this.#ports.warn(`kernel settings cannot be looked at: ${messageOf(error)}`);
    }
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #tell({ name, found, value, error }: SettingChanged): void {
    if (error === null) this.#failed.delete(name);
    else if (this.#failed.has(name)) return;
    else this.#failed.add(name);
    this.#ports.publish({ kind: 'firewall.setting', name, found, value, error });
  }
}

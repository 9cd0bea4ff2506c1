/** A hardware watchdog (Documentation/watchdog/watchdog-api.rst of the kernel): it resets the box unless it is fed. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { check, libc } from './libc.ts';

/** _IOWR('W', 6, int) */
const WDIOC_SETTIMEOUT = 0xc0045706;

export class WatchdogDevice {
  /** What the hardware took, s: it may round. */
  readonly timeoutS: number;
  readonly #fd: number;

  /**
   * Opening starts the countdown.
   * @throws Error ENOENT no such device, EBUSY somebody else feeds it; SysError when it takes no time-out
   */
  constructor(path: string, timeoutS: number) {
    this.#fd = openSync(path, 'w');
    const wanted = Buffer.alloc(4);
    wanted.writeInt32LE(timeoutS);
    try {
      check(libc().ioctl(this.#fd, WDIOC_SETTIMEOUT, wanted), `set the time of ${path} to ${timeoutS} s`);
    } catch (error) {
      this.disarm();
      throw error;
    }
    this.timeoutS = wanted.readInt32LE();
  }

  feed(): void {
    writeSync(this.#fd, '\0');
  }

  /** Ends the countdown ("magic close"), unless the driver was told never to (nowayout). */
  disarm(): void {
    try {
      writeSync(this.#fd, 'V');
    } finally {
      closeSync(this.#fd);
    }
  }
}

/**
 * Devices made, changed and removed beside the loop, on a helper thread. The kernel does such work under a lock that
 * all devices share, and removal waits for every core: 60 to 190 ms on a busy machine, in which the loop must go on
 * to beat. One piece of work at a time. Everything rejects with SysError.
 */
import { formatMac } from '../net/mac.ts';
import { Errno, SysError } from './libc.ts';
import { NetlinkClient } from './netlink.ts';
import {
  deleteMessage,
  type Link,
  macvlanMessage,
  mtuMessage,
  type Rtnetlink,
  settleMessage,
  upMessage,
} from './rtnetlink.ts';

export class DeviceWork {
  readonly #client = new NetlinkClient(0);
  readonly #rtnl: Rtnetlink;

  /** @param rtnl looks a new device up */
  constructor(rtnl: Rtnetlink) {
    this.#rtnl = rtnl;
  }

  /** Makes a macvlan (mode bridge, down). Nothing is left behind when a step fails. */
  async createMacvlan(want: { name: string; parent: number; mac: Uint8Array; alias: string }): Promise<Link> {
    const attempted = `create macvlan ${want.name} (${formatMac(want.mac)}) on device index ${want.parent}`;
    await this.#client.requestAside(macvlanMessage(want), attempted);
    const made = this.#rtnl.link(want.name);
    if (made === null) throw new SysError(attempted, Errno.ENODEV, 'it vanished at once');
    try {
      await this.settle(made.index, want.alias, want.name);
    } catch (error) {
      await this.deleteLink(made.index, want.name);
      throw error;
    }
    return { ...made, alias: want.alias };
  }

  /** Sets the alias that marks a device as ours and turns off its self-made link-local address. */
  settle(index: number, alias: string, name: string): Promise<void> {
    return this.#client.requestAside(settleMessage(index, alias), `set the alias and address mode of ${name}`);
  }

  /** Removes a device; one that is gone already is fine. */
  async deleteLink(index: number, name: string): Promise<void> {
    try {
      await this.#client.requestAside(deleteMessage(index), `delete device ${name}`);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== Errno.ENODEV) throw error;
    }
  }

  setUp(index: number, up: boolean, name: string): Promise<void> {
    return this.#client.requestAside(upMessage(index, up), `set ${name} ${up ? 'up' : 'down'}`);
  }

  setMtu(index: number, mtu: number, name: string): Promise<void> {
    return this.#client.requestAside(mtuMessage(index, mtu), `set the MTU of ${name} to ${mtu}`);
  }

  close(): void {
    this.#client.close();
  }
}

/** The datagram socket of a service manager (sd_notify(3)): Node has no datagrams on AF_UNIX. */
import { check, closeQuietly, libc, Sock } from './libc.ts';

/** sun_path of unix(7). */
const MAX_PATH = 108;

/**
 * struct sockaddr_un: family u16 in the machine's order (little on both architectures), then the path. A name that
 * begins with `@` is abstract: its first byte is zero and it has no file (sd_notify(3), NOTIFY_SOCKET).
 * @returns null when the name is neither a path nor abstract, or too long
 */
export function unixAddress(name: string): Buffer | null {
  if (!/^[/@]./.test(name)) return null;
  const path = Buffer.from(name, 'utf8');
  if (path.length >= MAX_PATH) return null;
  if (path[0] === 0x40) path[0] = 0;
  const address = Buffer.alloc(2 + path.length + (path[0] === 0 ? 0 : 1));
  address.writeUInt16LE(Sock.AF_UNIX, 0);
  path.copy(address, 2);
  return address;
}

export class NotifySocket {
  readonly #fd: number;
  readonly #address: Buffer;

  /** @throws SysError when there is no socket to be had; Error when `name` is none */
  constructor(name: string) {
    const address = unixAddress(name);
    if (address === null) throw new Error(`NOTIFY_SOCKET: found "${name}", expected a path or "@name" below 108 bytes`);
    this.#address = address;
    const type = Sock.SOCK_DGRAM | Sock.SOCK_CLOEXEC | Sock.SOCK_NONBLOCK;
    this.#fd = check(libc().socket(Sock.AF_UNIX, type, 0), 'open the notification socket');
  }

  /**
   * Sends one message of `NAME=value` lines. @returns false when the manager did not take it (gone, or its queue full)
   */
  send(text: string): boolean {
    const bytes = Buffer.from(text, 'utf8');
    const sent = libc().sendto(this.#fd, bytes, bytes.length, Sock.MSG_DONTWAIT, this.#address, this.#address.length);
    return Number(sent) === bytes.length;
  }

  close(): void {
    closeQuietly(this.#fd);
  }
}

/**
 * Whether a device can send right now, asked of the kernel directly (ioctl SIOCGIFFLAGS): no list, no waiting for news.
 */
import { check, errno, libc, Sock, SysError } from './libc.ts';

const SIOCGIFFLAGS = 0x8913;
const IFREQ = 40; // char name[16], then the union that holds i16 flags
const NAME_LIMIT = 15;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;

let query = -1;

/**
 * @param name device name
 * @returns up: administratively; running: up and frames can pass. A macvlan follows its parent; the kernel may take up
 *   to a second to notice a lost carrier when carriers come and go quickly, else it is at once.
 * @throws SysError (ENODEV: no such device)
 */
export function deviceFlags(name: string): { up: boolean; running: boolean } {
  if (query < 0) {
    query = check(
      libc().socket(Sock.AF_INET, Sock.SOCK_DGRAM | Sock.SOCK_CLOEXEC, 0),
      'open a socket for device flags',
    );
  }
  const request = Buffer.alloc(IFREQ);
  request.write(name.slice(0, NAME_LIMIT), 0, 'utf8');
  if (libc().ioctl(query, SIOCGIFFLAGS, request) < 0) throw new SysError(`read the flags of ${name}`, errno());
  const flags = request.readUInt16LE(16);
  return { up: (flags & IFF_UP) !== 0, running: (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) !== 0 };
}

/**
 * The mode of a socket file is the kernel's affair at the moment when it is made; setting it later by the path would
 * follow a link.
 */
export function withUmask<T>(mask: number, act: () => T): T {
  const before = process.umask(mask);
  try {
    return act();
  } finally {
    process.umask(before);
  }
}

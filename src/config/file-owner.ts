/**
 * Files that root makes in a directory of the service's account: they have to be that account's, or the service could
 * not read what it needs.
 */
import { chownSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Gives `path` the owner of the directory `place`. Nothing happens for who is not root, or where root owns it. */
export function giveToOwner(path: string, place = dirname(path)): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(place);
  if (uid !== 0 || gid !== 0) chownSync(path, uid, gid);
}

/**
 * Files that root makes for the service's account. The directory may be one that the account can write, and then every
 * name in it may be a link by the time that it is used again: owner and mode are set on the descriptor of the new file,
 * a link is never followed, and the file gets its name when it is complete and on the disk.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Who may read a file. `account`: nobody but the service's account (keys and pass phrases). `group`: root owns it, the
 * account reads it and cannot change it. `root`: the account has no business with it.
 */
export type Readers = 'account' | 'group' | 'root';

export interface Account {
  uid: number;
  gid: number;
}

interface NewFile {
  readers: Readers;
  /** Put it in the place of a file that is there. */
  replace?: boolean;
  /** Of the file; `group` adds the group's right to read. Default 0600. */
  mode?: number;
  /** Left out: whose directory it is. */
  account?: Account | null;
}

const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Of a text like /etc/passwd: an account by its name, or the one whose group this is. Null when there is none, or
 * several.
 */
export function accountIn(passwd: string, which: { name: string } | { gid: number }): Account | null {
  const all = passwd.split('\n').flatMap((line) => {
    const [name = '', , uid, gid] = line.split(':');
    return uid === undefined || gid === undefined ? [] : [{ name, uid: Number(uid), gid: Number(gid) }];
  });
  const fitting = all.filter((one) => ('name' in which ? one.name === which.name : one.gid === which.gid));
  const found = fitting.length === 1 ? fitting[0] : fitting.find((one) => one.uid === one.gid);
  return found === undefined ? null : { uid: found.uid, gid: found.gid };
}

/** The account that a directory is for: its owner or, when that is root, who has its group. Null: root alone. */
function accountOf(directory: string): Account | null {
  const { uid, gid } = statSync(directory);
  if (uid !== 0) return { uid, gid };
  if (gid === 0) return null;
  const found = accountIn(readFileSync('/etc/passwd', 'utf8'), { gid });
  return found ?? { uid: 0, gid };
}

/** Sets owner and mode of an open file. Without root's rights only the mode. */
function settle(fd: number, mode: number, readers: Readers, account: Account | null): void {
  const root = process.geteuid?.() === 0;
  if (root) {
    if (readers === 'root' || account === null) fchownSync(fd, 0, 0);
    else fchownSync(fd, readers === 'account' ? account.uid : 0, account.gid);
  }
  const shared = root && account !== null && (readers === 'group' || (readers === 'account' && account.uid === 0));
  fchmodSync(fd, shared ? mode | 0o040 : mode);
}

/**
 * Writes a file: others see what was there before or the whole new one, also after a power cut.
 * @throws the system's error; EEXIST when the file is there and may not be replaced
 */
export function writeWhole(path: string, content: string | Uint8Array, options: NewFile): void {
  const directory = dirname(path);
  const { mode = 0o600, readers, replace = false } = options;
  const account = options.account === undefined ? accountOf(directory) : options.account;
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const fd = openSync(temporary, NEW, 0o600);
  try {
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    settle(fd, mode, readers, account);
    fsyncSync(fd);
    // A link fails where something is, which a rename would silently replace. Neither follows a link.
    if (replace) renameSync(temporary, path);
    else linkSync(temporary, path);
  } finally {
    closeSync(fd);
    rmSync(temporary, { force: true });
  }
  syncDirectory(directory);
}

export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * The directory becomes root's, and its account may read and not write it. Nothing happens for who is not root.
 * @throws the system's error; ELOOP or ENOTDIR when the path is a link or no directory
 */
export function reclaim(directory: string, account: Account | null): void {
  const fd = openSync(directory, FOLDER);
  try {
    if (process.geteuid?.() === 0) fchownSync(fd, 0, account?.gid ?? 0);
    fchmodSync(fd, 0o750);
  } finally {
    closeSync(fd);
  }
}

/**
 * Sets owner and mode of a file that is there, if it is a plain file with no second name.
 * @returns false for a link, a pipe, a device, a file that has another name elsewhere
 */
export function resettle(path: string, mode: number, readers: Readers, account: Account | null): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.nlink !== 1) return false;
    settle(fd, mode, readers, account);
    return true;
  } finally {
    closeSync(fd);
  }
}

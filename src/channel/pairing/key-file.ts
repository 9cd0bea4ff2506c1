/**
 * The file with the pair's key: made whole or not at all, mode 0600, never over another one unless that is asked for.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { giveToOwner } from '../../config/file-owner.ts';
import { fileTrouble } from '../../config/secret-files.ts';

/** Bytes of a new key; in the file twice as many hex digits. */
const KEY_BYTES = 32;
const MODE = 0o600;

export const newKey = (): Buffer => randomBytes(KEY_BYTES);

/**
 * 48 bits of a hash of the key, for two people (or two screens) to compare: `4f1a-93c2-07be`. Of a random key it tells
 * nothing; of one that somebody made up it would let guesses be tried, so it goes to the terminal and nowhere else.
 */
export function fingerprint(key: Uint8Array): string {
  const hash = createHash('sha256').update('carpio pair key\0').update(key).digest('hex');
  return hash.slice(0, 12).replace(/(....)(?=.)/g, '$1-');
}

/** Why a file cannot be made at `path`, or null. */
export function unwritable(path: string): string | null {
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    const why = fileTrouble(error);
    const mend = why === 'no such file' ? `: install -d -m 700 ${dirname(path)}` : '; are you root?';
    return `cannot write into ${dirname(path)}: ${why === 'no such file' ? 'no such directory' : why}${mend}`;
  }
}

function writeTemporary(path: string, text: string): string {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const fd = openSync(temporary, 'wx', MODE);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  giveToOwner(temporary);
  return temporary;
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes the key as hex digits. Others see the old file or the whole new one, also after a power cut.
 * @param replace put it in the place of a file that is there
 * @throws Error in one line, without the key
 */
export function writeKey(path: string, key: Uint8Array, replace: boolean): void {
  let temporary: string | null = null;
  try {
    temporary = writeTemporary(path, `${Buffer.from(key).toString('hex')}\n`);
    // A link fails where something is, which a rename would silently replace.
    if (replace) renameSync(temporary, path);
    else linkSync(temporary, path);
    syncDirectory(dirname(path));
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new Error(`cannot write ${path}: ${exists ? 'it exists; --force replaces it' : fileTrouble(error)}`);
  } finally {
    if (temporary !== null) rmSync(temporary, { force: true });
  }
}

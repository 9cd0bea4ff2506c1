/**
 * The file with the pair's key: made whole or not at all, mode 0600, never over another one unless that is asked for.
 */
import { createHash, randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { writeWhole } from '../../config/file-owner.ts';
import { fileTrouble } from '../../config/secret-files.ts';

/** Bytes of a new key; in the file twice as many hex digits. */
const KEY_BYTES = 32;

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

/**
 * Writes the key as hex digits. Others see the old file or the whole new one, also after a power cut.
 * @param replace put it in the place of a file that is there
 * @throws Error in one line, without the key
 */
export function writeKey(path: string, key: Uint8Array, replace: boolean): void {
  try {
    writeWhole(path, `${Buffer.from(key).toString('hex')}\n`, { readers: 'account', replace });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new Error(`cannot write ${path}: ${exists ? 'it exists; --force replaces it' : fileTrouble(error)}`);
  }
}

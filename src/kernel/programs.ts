/** Where the programs are that Carpio starts. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Looked through after PATH: that of an ordinary user, or of a service, may have no /usr/sbin. */
const PROGRAM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * @param name a path, or a name that is looked for as a shell would
 * @returns the path of the file that would be run, or null
 */
export function findProgram(name: string): string | null {
  if (name.includes('/')) return isProgram(name) ? name : null;
  const folders = `${process.env.PATH ?? ''}:${PROGRAM_PATH}`.split(':').filter((folder) => folder.startsWith('/'));
  return folders.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

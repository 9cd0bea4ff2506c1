/** Where things are. Everything else asks here, so that no script guesses the checkout's place. */
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const BUILD = `${ROOT}/build`;
export const DIST = `${ROOT}/dist`;
export const CACHE = `${BUILD}/cache`;
export const MODULES = `${ROOT}/node_modules`;

// An ordinary Debian user's PATH lacks the sbin folders, where nft, ip and conntrack live.
const folders = (process.env.PATH ?? '').split(':').filter(Boolean);
for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']) {
  if (!folders.includes(folder)) folders.push(folder);
}
process.env.PATH = folders.join(':');

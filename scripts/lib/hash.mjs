/** Content hashes: what was built from what, so that a second build is instant and an edited file is never missed. */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** @param {string} path @returns {string[]} all files below it, sorted; [path] for a file, [] when absent */
export function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (!lstatSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesBelow(`${path}/${name}`));
}

/**
 * @param {string[]} paths files and folders
 * @param {string[]} [facts] further strings that the product depends on
 * @returns {string} SHA-256 in hexadecimal over names and contents
 */
export function hashOf(paths, facts = []) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(filesBelow)) {
    hash.update(`${file}\0`).update(createHash('sha256').update(readFileSync(file)).digest());
  }
  for (const fact of facts) hash.update(`\0${fact}`);
  return hash.digest('hex');
}

/** @param {string} file @param {'sha256' | 'sha512'} algorithm */
export function fileDigest(file, algorithm) {
  return createHash(algorithm).update(readFileSync(file));
}

/** Writes through a neighbour and a rename: a reader (or a second build beside this one) never sees half a file. */
export function writeWhole(path, data, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, data, { mode });
  renameSync(beside, path);
}

/** @param {string} path a stamp file @param {string} value */
export const stampIs = (path, value) => existsSync(path) && readFileSync(path, 'utf8').trim() === value;

/**
 * Reads what the configuration keeps in files of their own: passwords, the pair key, the feed's token. An error names
 * the file and what is wrong with it, never a byte of its content.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Secret } from './secret.ts';

/** Longest secret file, in bytes; the key of a pair is 32. */
const MAX_FILE = 4096;
const MIN_KEY = 16;
const MIN_TOKEN = 16;
/** Fewer different bytes than this in a key is a placeholder (all zeros, "xxxx…"), not a key. */
const MIN_KEY_VARIETY = 6;

export type SecretResult = { ok: true; secret: Secret; warning: string | null } | { ok: false; error: string };

const bad = (error: string): SecretResult => ({ ok: false, error });

interface FileContent {
  bytes: Buffer;
  warning: string | null;
}

/** Plain words for the errors that a path in a configuration meets. */
export function fileTrouble(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const words: Record<string, string> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
    ENOTDIR: 'a part of the path is not a directory',
    ELOOP: 'too many symbolic links',
    ENXIO: 'it is not a regular file',
  };
  return (code && words[code]) || code || 'unreadable';
}

const NONBLOCKING_READ = 0o4000;

/** Opens first and looks at what was opened, so that a pipe put there can't make the daemon wait for ever. */
function readSmall(path: string): FileContent | string {
  let fd: number | undefined;
  try {
    fd = openSync(path, NONBLOCKING_READ);
    const stat = fstatSync(fd);
    if (!stat.isFile()) return 'it is not a regular file';
    if (stat.size > MAX_FILE) return `found ${stat.size} bytes, allowed at most ${MAX_FILE}`;
    const bytes = Buffer.alloc(MAX_FILE);
    const length = readSync(fd, bytes, 0, MAX_FILE, 0);
    const open = (stat.mode & 0o004) !== 0;
    return {
      bytes: bytes.subarray(0, length),
      warning: open ? `everybody on this machine can read ${path}: chmod 600 ${path}` : null,
    };
  } catch (error) {
    return fileTrouble(error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Editors and `echo` end a file with a newline that is not meant. One is cut, not more. */
function cutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

/** CARP's pass phrase: at most `max` bytes, used as they are. */
export function readPassword(path: string, max: number): SecretResult {
  const content = readSmall(path);
  if (typeof content === 'string') return bad(`cannot read ${path}: ${content}`);
  const bytes = cutNewline(content.bytes);
  if (bytes.length > max) return bad(`${path} holds ${bytes.length} bytes, allowed at most ${max}`);
  if (bytes.includes(0)) return bad(`${path} holds a NUL byte, which no tool can type`);
  return { ok: true, secret: new Secret(bytes), warning: content.warning };
}

/**
 * The pair's shared secret: hex digits (white space and ":" between them do not count) or, if it is anything else, the
 * raw bytes. At least 16 bytes either way.
 */
export function readKey(path: string): SecretResult {
  const content = readSmall(path);
  if (typeof content === 'string') return bad(`cannot read ${path}: ${content}`);
  const text = content.bytes.toString('latin1').replace(/[\s:]/g, '');
  const hex = text !== '' && /^[0-9a-fA-F]*$/.test(text);
  const mend = 'make one with: carpio pair';
  if (hex && text.length % 2 === 1)
    return bad(`${path} holds ${text.length} hex digits, an odd number; a digit is missing`);
  const bytes = hex ? Buffer.from(text, 'hex') : cutNewline(content.bytes);
  if (bytes.length < MIN_KEY) {
    const found = hex ? `${text.length} hex digits` : `${bytes.length} bytes`;
    return bad(`${path} holds ${found}, allowed at least ${2 * MIN_KEY} hex digits or ${MIN_KEY} bytes; ${mend}`);
  }
  if (new Set(bytes).size < MIN_KEY_VARIETY) return bad(`${path} repeats a few bytes, which is no key; ${mend}`);
  return { ok: true, secret: new Secret(bytes), warning: content.warning };
}

/** The feed's token: printable characters without spaces, so that it fits in a header and in a URL. */
export function readToken(path: string): SecretResult {
  const content = readSmall(path);
  if (typeof content === 'string') return bad(`cannot read ${path}: ${content}`);
  const bytes = cutNewline(content.bytes);
  if (bytes.length < MIN_TOKEN) {
    return bad(`${path} holds ${bytes.length} bytes, allowed at least ${MIN_TOKEN}: openssl rand -hex 16 >${path}`);
  }
  if (!bytes.every((byte) => byte > 0x20 && byte < 0x7f)) {
    return bad(`${path} holds spaces or characters that are not printable ASCII`);
  }
  return { ok: true, secret: new Secret(bytes), warning: content.warning };
}

/**
 * What is wrong with a configuration, in one line that the person who must mend it can act on:
 * `/etc/carpio/carpio.toml:12: vip[0].vhid: found 300, allowed 1..255`.
 */

import type { KeyPath } from './toml-lines.ts';

export interface ConfigError {
  file: string;
  /** From 1. */
  line: number;
  /** `vip[0].vhid`; empty when the file as a whole is meant. */
  key: string;
  message: string;
}

export function formatError(error: ConfigError): string {
  return [`${error.file}:${error.line}`, error.key, error.message].filter((part) => part !== '').join(': ');
}

/**
 * `['vip', 0, 'vhid']` as `vip[0].vhid`. Keys that are not plain words are quoted, so that one error stays one line.
 */
export function formatKey(path: KeyPath): string {
  let out = '';
  for (const part of path) {
    if (typeof part === 'number') out += `[${part}]`;
    else out += (out ? '.' : '') + (/^[A-Za-z0-9_-]{1,64}$/.test(part) ? part : quote(part));
  }
  return out;
}

const LONGEST = 64;

/** A value from the file as an error shows it: one line, bounded, control characters escaped. */
export function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}

const SECRET_KEYS = new Set(['password']);

/**
 * The value found, for an error. Secrets and whatever is made of several values are named by their kind, never shown.
 */
export function describe(value: unknown, path: KeyPath): string {
  if (value === undefined) return 'nothing';
  const hidden = path.some((part) => typeof part === 'string' && SECRET_KEYS.has(part));
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (value instanceof Date) return 'a date';
  if (typeof value === 'object') return 'a table';
  // A quote that was not closed swallows the lines after it, and one of them may be a password.
  if (typeof value === 'string' && value.includes('\n')) return 'a text of several lines';
  if (typeof value === 'string') return hidden ? `${Buffer.byteLength(value)} bytes` : quote(value);
  return hidden ? `a ${typeof value}` : String(value);
}

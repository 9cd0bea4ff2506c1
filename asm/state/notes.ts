/**
 * What an audit found, state by state, for `carpio verify --deep`: the first 100 differences between kernel and table,
 * as copies of the states.
 *
 *   NOTES   u32 count, then from + 16 on 160 B each: why u32, offset of the state u32, 8 B unused, the state 144 B
 */

import { STATE_SIZE } from './layout';
import { NOTES } from './memory';

const MOST: u32 = 100;
const SIZE: u32 = 160;

/** The kernel held it, the table did not. */
export const NOTE_MISSING: u32 = 1;
/** The kernel held other content than the table. */
export const NOTE_CHANGED: u32 = 2;
/** The table held it, the kernel did not. */
export const NOTE_GONE: u32 = 3;
/** Taken back: its event was only late. */
const NOTE_VOID: u32 = 0;

/** An audit begins. */
export function notesClear(): void {
  store<u32>(NOTES, 0);
}

export function notesCount(): u32 {
  return load<u32>(NOTES);
}

export function note(r: u32, why: u32): void {
  const n = load<u32>(NOTES);
  if (n == MOST) return;
  store<u32>(NOTES, n + 1);
  const p = NOTES + 16 + n * SIZE;
  store<u32>(p, why);
  store<u32>(p, r, 4);
  memory.copy(p + 16, r, STATE_SIZE);
}

/** An event shows that the state's difference was only a late event. */
export function takeBack(r: u32): void {
  const n = load<u32>(NOTES);
  for (let i: u32 = 0; i < n; i++) {
    const p = NOTES + 16 + i * SIZE;
    if (load<u32>(p, 4) == r) store<u32>(p, NOTE_VOID);
  }
}

/**
 * Loops over images of states (STATE_SIZE apart) for the benchmark: the cost of the table itself, without codecs. In
 * groups and with the look-ahead of the datagrams and dump lines (ahead.ts).
 */

import { GROUP, lookAhead } from '../state/ahead';
import { entomb, setContent } from '../state/content';
import { insertLive } from '../state/insert';
import { STATE_SIZE } from '../state/layout';
import { tagOwn } from '../state/owner';
import { release } from '../state/queue';
import { findHashed } from '../state/table';

/** Hash, look-up, insert or update with fingerprint and digest of `n` images at `off`. Returns how many were new. */
export function benchUpdate(off: u32, n: u32): u32 {
  let fresh: u32 = 0;
  for (let i: u32 = 0, s = off; i < n; i += GROUP) {
    const group = min(GROUP, n - i);
    lookAhead(s, STATE_SIZE, group);
    for (let end = s + group * STATE_SIZE; s < end; s += STATE_SIZE) {
      const r = findHashed(s);
      if (r) setContent(r, s);
      else if (insertLive(s, tagOwn, true)) fresh++;
    }
  }
  return fresh;
}

/** Hash and look-up. Returns how many were found. */
export function benchFind(off: u32, n: u32): u32 {
  let found: u32 = 0;
  for (let i: u32 = 0, s = off; i < n; i += GROUP) {
    const group = min(GROUP, n - i);
    lookAhead(s, STATE_SIZE, group);
    for (let end = s + group * STATE_SIZE; s < end; s += STATE_SIZE) if (findHashed(s)) found++;
  }
  return found;
}

/** Hash, look-up and removal. Returns how many were there. */
export function benchDelete(off: u32, n: u32): u32 {
  let gone: u32 = 0;
  for (let i: u32 = 0, s = off; i < n; i += GROUP) {
    const group = min(GROUP, n - i);
    lookAhead(s, STATE_SIZE, group);
    for (let end = s + group * STATE_SIZE; s < end; s += STATE_SIZE) {
      const r = findHashed(s);
      if (!r) continue;
      entomb(r);
      release(r);
      gone++;
    }
  }
  return gone;
}

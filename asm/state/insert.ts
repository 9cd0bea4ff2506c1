/** A new state enters the table, if there is room for it. */

import { begin, keyGen } from './content';
import { copyExtra } from './extra';
import { F_INK, F_USED, F_VTAGS, flagsOf, S_KEPTOUT, S_TAG, setFlags } from './layout';
import { hasRoom } from './room';
import { addState } from './table';

/** The image `s` becomes a live state with this tag; 0 when there is no room (counted). find(s) returned 0 before. */
export function insertLive(s: u32, tag: u32, inKernel: bool): u32 {
  if (!hasRoom()) return 0;
  const vtags = flagsOf(s) & F_VTAGS;
  const r = addState(s);
  if (!r) return 0;
  setFlags(r, F_USED | vtags | keyGen | (inKernel ? F_INK : 0));
  store<u8>(r, tag, S_TAG); // and no answers yet
  store<u8>(r, 0, S_KEPTOUT);
  copyExtra(r, s);
  begin(r);
  return r;
}

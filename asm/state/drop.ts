/** The end of a state that this node decides about. */

import { entomb } from './content';
import { F_INK, flagsOf } from './layout';
import { markDirty, release, wantKernel } from './queue';

/** The state goes, from the table and from the kernel; `tell`: the peer must hear of it. */
export function drop(r: u32, tell: bool): void {
  entomb(r);
  if (flagsOf(r) & F_INK) wantKernel(r, 0);
  if (tell) markDirty(r);
  release(r);
}

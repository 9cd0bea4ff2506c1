/**
 * Labels of connections that are not answered yet. The kernel names labels only in the event of the change, which for
 * most is the very first packet, long before the state is worth a state. They wait here, in one page of 2048 places:
 * a newer connection takes the place of an older one, and what is lost so comes with the next dump.
 *
 *   place   index hash u32, 0 u32, key word u64, labels 16 B
 */

import { addToScratch, extraOf, present, X_LABELS, XB_LABELS } from './extra';
import { S_IHASH, S_KEYWORD } from './layout';
import { allocPage, SCRATCH, XSCRATCH } from './memory';

const PLACES: u32 = 2048;

let page: u32 = 0;

function placeOf(hash: u32): u32 {
  return page + ((hash & (PLACES - 1)) << 5);
}

/** SCRATCH (looked up before) is not stored now: its labels are kept for when it is. */
export function keepLabels(): void {
  if (!(present(extraOf(SCRATCH)) & X_LABELS)) return;
  if (!page) page = allocPage();
  if (!page) return;
  const place = placeOf(load<u32>(SCRATCH, S_IHASH));
  store<u32>(place, load<u32>(SCRATCH, S_IHASH));
  store<u64>(place, load<u64>(SCRATCH, S_KEYWORD), 8);
  memory.copy(place + 16, XSCRATCH + <u32>XB_LABELS, 16);
}

/** SCRATCH (looked up before) is going to be stored: it gets the labels it had before. */
export function recallLabels(): void {
  if (!page || present(extraOf(SCRATCH)) & X_LABELS) return;
  const place = placeOf(load<u32>(SCRATCH, S_IHASH));
  if (load<u32>(place) != load<u32>(SCRATCH, S_IHASH) || load<u64>(place, 8) != load<u64>(SCRATCH, S_KEYWORD)) return;
  memory.copy(XSCRATCH + <u32>XB_LABELS, place + 16, 16);
  addToScratch(X_LABELS);
  store<u64>(place, 0, 8);
}

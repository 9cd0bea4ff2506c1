/** Pages of the state table for `carpio states`, decoded from the module's memory. */

import type { StateView } from '../../contract/state-view.ts';
import type { Engine } from './engine.ts';
import { readState } from './state-decode.ts';

export class StatesLister {
  private readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /**
   * @param cursor 0 at first, then as returned; the returned 0 means the end. No state that stays is missed or told
   * twice.
   */
  list(cursor: number, most: number): { states: StateView[]; cursor: number } {
    const states: StateView[] = [];
    let at = cursor;
    while (states.length < most) {
      at = this.engine.next(at);
      if (at === 0) break;
      states.push(readState(this.engine, at));
    }
    return { states, cursor: at };
  }
}

/** The state engine with what only benches and tests use: its own account of itself, and loops over it. */

import { live, tombs } from './state/counts';

export { benchDelete, benchFind, benchUpdate } from './bench/loops';
export * from './index';
export { setLongTimeout, setSeq } from './kernel/write';
export { txUpdates } from './peer/fill';
export { boundAnswers } from './state/answers';
export { selfCheck } from './state/check';
export { sip13 } from './state/hash';
export { homeOf } from './state/homes';
export { adoptEpoch } from './state/owner';
export { setMaxStates } from './state/room';
export { bucketCount, longestChain } from './state/table';
export { rekeyActive } from './state/walk';

/** Live states. */
export function liveCount(): u32 {
  return live;
}

/** Ended states that are still needed. */
export function tombCount(): u32 {
  return tombs;
}

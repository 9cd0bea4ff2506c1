/** What a recording holds of unmasking: adverts without their digest. Pure. */
import { recordedAdvert } from '../../carp/recorded.ts';
import type { ArrivedAdvert, PeerReport } from '../../carp/types.ts';
import type { Judged, MaskState } from './machine.ts';

/** What enters the machine in one step, times in microseconds. */
export type MaskStep =
  | { call: 'advert'; masked: ArrivedAdvert; now: number }
  | { call: 'report'; report: PeerReport | null; now: number }
  | { call: 'expire'; now: number };

export const recordedMasked = (masked: ArrivedAdvert): ArrivedAdvert => ({
  ...masked,
  advert: { ...recordedAdvert(masked.advert), counter: masked.advert.counter },
});

export const recordedJudged = (judged: readonly Judged[]): Judged[] =>
  judged.map(({ masked, refused }) => ({ masked: recordedMasked(masked), refused }));

export const recordedMask = (state: MaskState): MaskState => ({
  ...state,
  held: state.held.map(({ masked, atUs }) => ({ masked: recordedMasked(masked), atUs })),
});

/** What a recording holds of the election's events: without what the machine never looks at. Pure. */
import type { GroupEvent, HeardAdvert } from './types.ts';

/** The digest and the rest of the packet are secrets of the segment; the election decides by the timers. */
export const recordedAdvert = ({ advbase, advskew, demote }: HeardAdvert): HeardAdvert => ({
  advbase,
  advskew,
  demote,
});

export const recordedEvent = (event: GroupEvent): GroupEvent =>
  event.type === 'advert' ? { ...event, advert: recordedAdvert(event.advert) } : event;

/** What `carpio monitor` shows: the status as `carpio status` has it, the newest events below. Pure. */
import type { ToldEvent } from '../../contract/events.ts';
import type { NodeStatus } from '../../contract/status.ts';
import { clean } from '../../contract/text.ts';
import { toldLine } from '../../contract/words.ts';
import { renderStatus } from '../status-text.ts';
import { duration, type Paint, width } from '../text.ts';
import type { Frame } from './feed-client.ts';

/** Events that are kept for the screen. */
const KEPT = 200;

interface View {
  status: NodeStatus | null;
  /** ms since 1970, when the status came. */
  statusAt: number;
  events: string[];
  broken: { reason: string; since: number } | null;
}

export function emptyView(now: number): View {
  return { status: null, statusAt: now, events: [], broken: { reason: 'connecting', since: now } };
}

/** A line for an event frame: time of day, then as the node's own log says it. */
export function eventText(frame: Frame): string {
  const { type: _type, seq: _seq, time, ...event } = frame;
  const at = typeof time === 'string' ? time.slice(11, 23) : '';
  return clean(`${at} ${toldLine(event as ToldEvent)}`);
}

export function takeFrame(view: View, frame: Frame, now: number): void {
  if (frame.type === 'snapshot' || frame.type === 'status') {
    if (typeof frame.status === 'object' && frame.status !== null) view.status = frame.status as NodeStatus;
    view.statusAt = now;
    if (frame.type === 'snapshot') view.events = [];
    if (Array.isArray(frame.recent)) for (const event of frame.recent as Frame[]) view.events.push(eventText(event));
  } else if (frame.type === 'event') view.events.push(eventText(frame));
  if (view.events.length > KEPT) view.events.splice(0, view.events.length - KEPT);
}

export function takeBreak(view: View, reason: string | null, now: number): void {
  if (reason === null) view.broken = null;
  else view.broken = { reason, since: view.broken?.since ?? now };
}

/**
 * @param size of the terminal; what does not fit is cut, so that the picture never scrolls
 * @returns exactly the lines to show, at most `size.rows`
 */
export function renderView(
  view: View,
  target: string,
  now: number,
  size: { rows: number; columns: number },
  paint: Paint,
): string[] {
  const lines: string[] = [`${paint('dim', clean(target))}   ${paint('dim', 'q quits')}`, ''];
  if (view.broken !== null) {
    const why = `${clean(view.broken.reason)} (for ${duration(now - view.broken.since)})`;
    lines.push(paint('red', `NOT CONNECTED: ${why}; what follows is old`), '');
  }
  if (view.status !== null) lines.push(...statusLines(view.status, nodeTime(view, now), paint), '');
  const room = Math.max(0, size.rows - lines.length - 1);
  lines.push(...view.events.slice(room === 0 ? view.events.length : -room));
  return lines.slice(0, size.rows - 1).map((line) => cut(line, size.columns));
}

// The node's clock, not ours: "since" is told by it.
function nodeTime(view: View, now: number): number {
  const then = Date.parse(view.status?.time ?? '');
  return Number.isNaN(then) ? now : then + (now - view.statusAt);
}

// A node that is older or newer than this program may leave something out: the monitor must not die of it.
function statusLines(status: NodeStatus, now: number, paint: Paint): string[] {
  try {
    return renderStatus(status, now, paint).trimEnd().split('\n');
  } catch {
    return [paint('yellow', 'this node speaks another version: its status cannot be shown; the events can')];
  }
}

/** Without colours only when it is too long: a colour code that is cut in two would stay. */
function cut(line: string, columns: number): string {
  if (width(line) <= columns) return line;
  return [...line.replaceAll(COLOUR, '')].slice(0, Math.max(0, columns - 1)).join('');
}

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9]+m`, 'g');

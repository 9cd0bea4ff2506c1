/// <reference lib="dom" />
/** The list of events, newest first, of all nodes together. */
import { byId, element } from './dom.ts';
import { clockTime, eventText, type FeedEvent } from './words.ts';

const MAX_ROWS = 200;

interface Row {
  key: string;
  time: number;
  root: HTMLElement;
}

interface EventList {
  /** @param line which feed it came from: its colour */
  add(event: FeedEvent, node: string, line: number): void;
}

export function makeEventList(): EventList {
  const body = byId('events');
  const none = byId('no-events');
  const rows: Row[] = [];
  const add = (event: FeedEvent, node: string, line: number): void => {
    const key = `${line} ${event.seq} ${event.time}`;
    if (rows.some((row) => row.key === key)) return; // a snapshot brings along what is known already
    const time = Date.parse(event.time) || 0;
    const row = { key, time, root: makeRow(event, node, line) };
    const place = rows.findIndex((other) => other.time <= time);
    if (place === -1) {
      rows.push(row);
      body.append(row.root);
    } else {
      rows[place]!.root.before(row.root);
      rows.splice(place, 0, row);
    }
    if (rows.length > MAX_ROWS) rows.pop()!.root.remove();
    none.hidden = true;
  };
  return { add };
}

function makeRow(event: FeedEvent, node: string, line: number): HTMLElement {
  const who = element('td', 'who', node);
  who.dataset.line = String(line);
  const what = element('td', 'what');
  const { text, ...fields } = event;
  // A node of an older version sends no sentence: then its fields must do.
  const said = typeof text === 'string' ? text : eventText(fields as FeedEvent);
  if (said !== '') what.append(element('span', 'said', said));
  if (text === undefined && typeof event.reason === 'string') what.append(element('span', 'why', event.reason));
  const row = element('tr', '', element('td', 'when', clockTime(event.time, new Date())), who);
  row.append(element('td', 'kind', String(event.kind)), what);
  if (event.to === 'MASTER') row.dataset.tone = 'master';
  return row;
}

/** Numbers, ages and events in words. Pure. */

export interface FeedEvent {
  seq: number;
  time: string;
  kind: string;
  [field: string]: unknown;
}

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const UNKNOWN = '–';

/** 1200 -> "1,200"; what is not known is a dash, never a guess. */
export function count(value: number | null | undefined): string {
  return typeof value === 'number' && Number.isFinite(value) ? WHOLE.format(value) : UNKNOWN;
}

/** A length of time: tenths while it is short, two units when it is long. */
export function span(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 99.5) return `${Math.round(s)} s`;
  const whole = Math.floor(s);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** A rate in three digits: 7.4, 123, 4.56 k, 1.2 M. */
export function rate(perSecond: number | null): string {
  if (perSecond === null || !Number.isFinite(perSecond)) return UNKNOWN;
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (perSecond >= size) return `${digits(perSecond / size)} ${unit}`;
  }
  return perSecond === 0 ? '0' : digits(perSecond);
}

function digits(value: number): string {
  if (value >= 99.5) return value.toFixed(0);
  return value.toFixed(value >= 9.95 ? 1 : 2).replace(/\.?0+$/, '');
}

/** "14:03:07" in the reader's own time; the date in front when it is another day. */
export function clockTime(iso: string, today: Date): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return UNKNOWN;
  const two = (n: number): string => String(n).padStart(2, '0');
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  if (time.toDateString() === today.toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}

const TOLD_APART = new Set(['type', 'seq', 'time', 'kind', 'vhid', 'interface', 'from', 'to', 'reason']);

/** What an event says, whatever its kind: who, from what to what, the other fields by name, and the reason. */
export function eventText(event: FeedEvent): string {
  const words: string[] = [];
  if (isPlain(event.vhid)) words.push(`vhid ${event.vhid}`);
  if (isPlain(event.interface)) words.push(`on ${event.interface}`);
  if (isPlain(event.from) && isPlain(event.to)) words.push(`${event.from} → ${event.to}`);
  else if (isPlain(event.to)) words.push(`→ ${event.to}`);
  else if (isPlain(event.from)) words.push(`from ${event.from}`);
  for (const [name, value] of Object.entries(event)) {
    if (TOLD_APART.has(name) || value === null || value === undefined) continue;
    words.push(`${name.replaceAll('_', ' ')} ${isPlain(value) ? value : JSON.stringify(value)}`);
  }
  return words.join(' ');
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

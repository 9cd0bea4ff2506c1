/** An event in one line for the log. */
import type { NodeEvent } from './status.ts';

export function eventLine(event: NodeEvent): string {
  if (event.kind === 'carp.state') {
    return `vhid ${event.vhid} on ${event.interface}: ${event.from} -> ${event.to} (${event.reason})`;
  }
  const { kind, ...fields } = event;
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [kind, ...parts].join(' ');
}

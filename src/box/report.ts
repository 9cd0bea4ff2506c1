/**
 * carpio-report.txt: what a box without a screen tells its admin, on the stick. Written only when it says something
 * new.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPORT } from './stick.ts';

export interface PortFacts {
  name: string;
  mac: string;
  driver: string;
}

/** No times and nothing else that changes by itself: each difference is a write to a flash chip. */
export function reportText(version: string, ports: readonly PortFacts[], lines: readonly string[]): string {
  const table = ports.map(({ name, mac, driver }) => `${name}  ${mac}  ${driver}`);
  return [`Carpio ${version}`, '', 'Network ports:', ...table, '', ...lines, ''].map((line) => `${line}\r\n`).join('');
}

/** @param writable called before the first write to `stick` @throws Error when the stick can't be written */
export function writeReport(stick: string, text: string, writable: (stick: string) => void): void {
  const path = join(stick, REPORT);
  try {
    if (readFileSync(path, 'utf8') === text) return;
  } catch {
    // not there yet
  }
  writable(stick);
  writeFileSync(path, text, { flush: true });
}

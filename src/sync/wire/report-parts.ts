/**
 * A node's report that is too long for one datagram travels in parts. Content of a REPORT_PART: id of the report u8,
 * index u8, count u8, bytes. A lost part loses the whole report; the next heartbeat brings the report again. Pure.
 */
import { MSG, message } from './datagram.ts';

const PART_HEADER = 3;
/** 16 parts of an ordinary datagram hold a report of about 250 vhids. */
const MOST_PARTS = 64;

/**
 * The messages that carry a report.
 * @param room bytes that a message's content may have
 * @param id differs from the one before, 0..255
 */
export function splitReport(report: Buffer, room: number, id: number): Buffer[] {
  if (report.length <= room) return [message(MSG.REPORT, report)];
  const size = room - PART_HEADER;
  const count = Math.ceil(report.length / size);
  if (count > MOST_PARTS) return [message(MSG.REPORT, Buffer.alloc(0))];
  return Array.from({ length: count }, (_none, i) => {
    const head = Buffer.from([id & 0xff, i, count]);
    return message(MSG.REPORT_PART, Buffer.concat([head, report.subarray(i * size, (i + 1) * size)]));
  });
}

/** Puts the parts together again; keeps the parts of one report at most. */
export class ReportAssembler {
  private id = -1;
  private parts: (Buffer | undefined)[] = [];

  /** @returns the report when this part was its last missing one; null: not yet, or the part makes no sense */
  take(content: Buffer): Buffer | null {
    const [id, index, count] = content;
    if (id === undefined || index === undefined || count === undefined) return null;
    if (count < 2 || count > MOST_PARTS || index >= count) return null;
    if (id !== this.id || count !== this.parts.length) {
      this.id = id;
      this.parts = new Array<Buffer | undefined>(count).fill(undefined);
    }
    this.parts[index] = Buffer.from(content.subarray(PART_HEADER));
    if (this.parts.some((part) => part === undefined)) return null;
    const whole = Buffer.concat(this.parts as Buffer[]);
    this.parts = [];
    this.id = -1;
    return whole;
  }
}

/** Whether the sender of this report is master of anything; `null`: it is no report. */
export function masterIn(content: Buffer): boolean | null {
  try {
    const report: unknown = JSON.parse(content.toString('utf8'));
    return typeof report === 'object' && report !== null && 'master' in report && report.master === true;
  } catch {
    return null;
  }
}

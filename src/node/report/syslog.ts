/**
 * The log to other machines: syslog over UDP, RFC 5424 in the transport of RFC 5426. A datagram that cannot be sent is
 * counted, never waited for: the log must not hold up the node.
 */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

/** Facility daemon (3), RFC 5424 section 6.2.1. */
const DAEMON = 3 * 8;
const SEVERITY = { debug: 7, info: 6, warning: 4, error: 3 } as const;
/** What every receiver must take is 480 bytes, should 2048 (RFC 5426, section 3.2); below an Ethernet frame. */
const MAX_BYTES = 1400;
/** Datagrams that may wait in the socket at a time. */
const MAX_WAITING = 64;

interface SyslogTarget {
  address: string;
  port: number;
}

/**
 * `<PRI>1 TIME HOST carpio PID - - MESSAGE`, UTF-8, cut at 1400 bytes without half a character.
 * @param host the node's name (printable ASCII by its own rule)
 */
export function syslogLine(level: keyof typeof SEVERITY, time: Date, host: string, pid: number, text: string): Buffer {
  const clean = text.replaceAll(/\p{Cc}+/gu, ' ');
  const line = Buffer.from(`<${DAEMON + SEVERITY[level]}>1 ${time.toISOString()} ${host} carpio ${pid} - - ${clean}`);
  if (line.length <= MAX_BYTES) return line;
  let end = MAX_BYTES;
  while (end > 0 && ((line[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return line.subarray(0, end);
}

export class Syslog {
  dropped = 0;
  private waiting = 0;
  private readonly targets: { target: SyslogTarget; socket: Socket }[];
  private readonly host: string;

  constructor(host: string, targets: readonly SyslogTarget[]) {
    this.host = host;
    this.targets = targets.map((target) => {
      const socket = createSocket(isIPv6(target.address) ? 'udp6' : 'udp4');
      socket.on('error', () => {
        this.dropped += 1;
      });
      socket.unref();
      return { target, socket };
    });
  }

  say(level: keyof typeof SEVERITY, time: Date, text: string): void {
    if (this.targets.length === 0) return;
    const line = syslogLine(level, time, this.host, process.pid, text);
    for (const { target, socket } of this.targets) {
      if (this.waiting >= MAX_WAITING) {
        this.dropped += 1;
        continue;
      }
      this.waiting += 1;
      socket.send(line, target.port, target.address, (error) => {
        this.waiting -= 1;
        if (error !== null) this.dropped += 1;
      });
    }
  }

  close(): void {
    for (const { socket } of this.targets) socket.close();
  }
}

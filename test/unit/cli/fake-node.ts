/** A node that is only its control socket, and the command line that asks it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { runCli } from '../../../src/cli/app.ts';
import type { Io, RunOptions } from '../../../src/cli/command.ts';
import type { StateView } from '../../../src/contract/state-view.ts';
import type { NodeStatus } from '../../../src/contract/status.ts';
import type { Json } from '../../../src/contract/values.ts';
import { type ControlHandler, startControl } from '../../../src/node/control/server.ts';

export const dir = mkdtempSync(join(tmpdir(), 'carpio-cli-'));

const NOW = Date.parse('2026-01-01T02:13:00.000Z');

export const STATUS: NodeStatus = {
  node: 'fw-a',
  version: '0.1.0',
  time: '2026-01-01T02:13:00.000Z',
  uptime_s: 274_000,
  role: 'master',
  carp: {
    preempt: true,
    maintenance: false,
    demotion: { total: 0, reasons: [] },
    vips: [
      {
        vhid: 1,
        interface: 'wan',
        device: 'eth0',
        addresses: ['203.0.113.1/24', '2001:db8::1/64'],
        state: 'MASTER',
        since: '2026-01-01T00:00:00.000Z',
        reason: 'no advert for 3390 ms',
        advbase: 1,
        advskew: 0,
        effective_advskew: 0,
        mac: '00:00:5e:00:01:01',
        takeover_ms: 3000,
        heard: { from: '203.0.113.3', advbase: 1, advskew: 100, ms_ago: 312 },
      },
    ],
    counters: {},
  },
  sync: {
    dialect: 'carpio',
    sealed: true,
    peer: { node: 'fw-b', address: '10.99.0.2', alive: true, heard_ms_ago: 40, role: 'backup' },
    states: { total: 1200, own: 1200, mirrored: 0, kernel: 1200 },
    in_step: true,
    in_step_reason: null,
    checked_ms_ago: 0,
    digest: 'abcd',
    lag_ms: 1.2,
    sent: 10,
    received: 20,
    sent_bytes: 0,
    received_bytes: 0,
    repairs: 0,
    repair_bytes: 0,
    overruns: 0,
    refused: { badmac: 3, replay: 0 },
  },
};

export const state = (dport: number, owner: StateView['owner']): StateView => ({
  proto: 'tcp',
  family: 4,
  orig: { src: '10.0.0.5', dst: '192.0.2.1', sport: 1024, dport },
  reply: { src: '192.0.2.1', dst: '10.0.0.5', sport: dport, dport: 1024 },
  nat: null,
  state: 'ESTABLISHED',
  status: ['SEEN_REPLY', 'ASSURED'],
  mark: 0,
  zone: 0,
  owner,
  kernel: true,
  timeout: 100,
});

export const asJson = (value: unknown) => value as Json;

export interface Result {
  code: number;
  out: string;
  err: string;
}

let ran: RunOptions | null = null;
/** What `carpio run` was last given; null: nothing yet. */
export const lastRun = (): RunOptions | null => ran;
/** For the end of a suite. */
export const cleanUp = (): void => rmSync(dir, { recursive: true, force: true });

export async function cli(...argv: string[]): Promise<Result> {
  const result: Result = { code: -1, out: '', err: '' };
  const probe = async () => ({ ok: true, found: 'tried', mend: null });
  const io: Io = {
    out: async (text) => {
      result.out += text;
    },
    err: (line) => {
      assert.not.match(line, /\n/, 'an error is one line');
      result.err += `${line}\n`;
    },
    colour: false,
    now: () => NOW,
    native: {
      runNode: async (options) => {
        ran = options;
        return 0;
      },
      kernelProbe: async () => ({
        conntrackNetlink: probe,
        nft: probe,
        macvlan: probe,
        gate: probe,
        syncPath: async () => ({ largest: null, rtt_ms: null, failed: null }),
        rawSocket: probe,
      }),
    },
  };
  result.code = await runCli(argv, io);
  return result;
}

let count = 0;

/** Runs `argv` against a node with these handlers; also gives what the node was asked. */
export async function withNode(
  handlers: Record<string, ControlHandler>,
  ...argv: string[]
): Promise<Result & { asked: Json[] }> {
  const path = join(dir, `n${count++}.sock`);
  const asked: Json[] = [];
  const listening = Object.entries(handlers).map(([name, handler]): [string, ControlHandler] => [
    name,
    (args, stream) => {
      asked.push({ [name]: args });
      return handler(args, stream);
    },
  ]);
  const server = await startControl(path, Object.fromEntries(listening));
  try {
    return { ...(await cli(...argv, '--socket', path)), asked };
  } finally {
    await server.close();
  }
}

export const answer =
  (value: unknown): ControlHandler =>
  async () =>
    asJson(value);

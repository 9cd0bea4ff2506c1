import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DataplaneHandle } from '../../../src/sync/control/handle.ts';
import type { WorkerConfig } from '../../../src/sync/worker/messages.ts';

const handle = suite('the control thread and its dataplane');

handle('before its first turn a dataplane is as old as its start, not as the machine', async () => {
  const silent = { notice: () => {}, peerName: () => {}, peerReport: () => {}, step: () => {}, failed: () => {} };
  const stopsWhenTold = "require('node:worker_threads').parentPort.once('message', () => process.exit())";
  const begun = performance.now();
  const node = new DataplaneHandle({ code: stopsWhenTold }, new Uint8Array(), {} as WorkerConfig, silent);
  const age = node.now() - node.stat('passAt');
  assert.ok(age >= 0 && age <= performance.now() - begun + 1, `${age} ms`);
  await node.stop();
});

handle.run();

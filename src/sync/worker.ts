/**
 * The dataplane worker: one loop that waits for conntrack events, dumps, datagrams of the peer and commands, moves them
 * in batches into WebAssembly memory, runs the table, and sends what that queued. It never touches a virtual IP or a
 * timer of CARP, and the control thread never waits for it.
 */
import { isMainThread, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { runSooner } from '../kernel/scheduling.ts';
import { Dataplane } from './dataplane.ts';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';

/** Heartbeats and states of the peer come before whatever else the machine does. */
const NICE = -10;

function main(): void {
  const port = parentPort;
  if (isMainThread || port === null) return;
  const post = (message: FromWorker): void => port.postMessage(message);
  // Not real time: this loop may have work for a whole core.
  runSooner(NICE);
  let dataplane: Dataplane;
  try {
    dataplane = new Dataplane(workerData as WorkerData, post);
  } catch (error) {
    post({ type: 'fatal', reason: error instanceof Error ? error.message : String(error) });
    return;
  }
  post({ type: 'ready', wakeFd: dataplane.wakeFd });
  const peek = () => (dataplane.called ? receiveMessageOnPort(port) : undefined);
  // This loop is the thread's whole life: it never goes back to the event loop, so a message port is read by hand.
  for (let running = true; running; ) {
    dataplane.wait();
    // To look costs as much as a small pass does; who sends a command wakes the loop too.
    for (let next = peek(); next !== undefined; next = receiveMessageOnPort(port)) {
      const message = next.message as ToWorker;
      if (message.type === 'stop') running = false;
      else dataplane.command(message);
    }
    dataplane.pass();
  }
  dataplane.close();
  post({ type: 'stopped' });
  port.close();
}

main();

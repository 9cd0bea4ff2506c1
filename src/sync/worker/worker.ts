/**
 * The dataplane worker: one loop that waits for conntrack events, dumps, datagrams of the peer and commands, moves them
 * in batches into WebAssembly memory, runs the table, and sends what the table has queued. It never touches a virtual
 * address or a timer of CARP, and the control thread never waits for it.
 */
import { setFlagsFromString } from 'node:v8';
import { isMainThread, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../contract/message-of.ts';
import { makeRealTime, runSooner } from '../../kernel/scheduling.ts';
import { Dataplane } from './dataplane.ts';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';

/** Where real-time priority is not allowed. */
const NICE = -10;
/** Below the election's priority: an advert comes before any state. */
const PRIORITY = 1;

/**
 * Heartbeats and states of the peer come before everything else that the machine does. A nice value is not enough: it
 * counts only within a control group or session, and behind 15 busy processes a state took 50 ms instead of 1 ms. The
 * loop gives the processor back between passes (kernel-io.ts), and the kernel keeps 5 % of each second for the others.
 */
function hurry(realTime: boolean): void {
  runSooner(NICE);
  if (!realTime) return;
  try {
    makeRealTime(PRIORITY);
    // Helper threads that collect young objects would wait for a processor, and the loop would wait for them.
    setFlagsFromString('--no-parallel-scavenge');
  } catch {
    // Without that permission: the election has reported it already.
  }
}

function main(): void {
  const port = parentPort;
  if (isMainThread || port === null) return;
  const post = (message: FromWorker): void => port.postMessage(message);
  hurry((workerData as WorkerData).config.realtime === true);
  let dataplane: Dataplane;
  try {
    dataplane = new Dataplane(workerData as WorkerData, post);
  } catch (error) {
    post({ type: 'fatal', reason: messageOf(error) });
    return;
  }
  post({ type: 'ready', wakeFd: dataplane.wakeFd });
  const peek = () => (dataplane.called ? receiveMessageOnPort(port) : undefined);
  // The thread never returns to the event loop, so the message port is read by hand.
  for (let running = true; running; ) {
    dataplane.wait();
    // To look at the port costs as much as a small pass. Whoever sends a command also wakes the loop.
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

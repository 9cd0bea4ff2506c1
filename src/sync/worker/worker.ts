/**
 * The dataplane worker: one loop that waits for conntrack events, dumps, datagrams of the peer and commands, moves them
 * in batches into WebAssembly memory, runs the table, and sends what that queued. It never touches a virtual IP or a
 * timer of CARP, and the control thread never waits for it.
 */
import { setFlagsFromString } from 'node:v8';
import { isMainThread, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../contract/message-of.ts';
import { makeRealTime, runSooner } from '../../kernel/scheduling.ts';
import { Dataplane } from './dataplane.ts';
import type { FromWorker, ToWorker, WorkerData } from './messages.ts';

/** Where real time is not allowed. */
const NICE = -10;
/** Below the election's: an advert comes before any state. */
const PRIORITY = 1;

/**
 * Heartbeats and states of the peer come before whatever else the machine does. A nice value is not enough: it counts only
 * within a control group or session, and behind 15 busy processes a state took 50 ms in place of one. The loop gives the
 * processor back between passes (kernel-io.ts), and the kernel keeps 5 % of each second for the others.
 */
function hurry(realTime: boolean): void {
  runSooner(NICE);
  if (!realTime) return;
  try {
    makeRealTime(PRIORITY);
    // Helper threads that collect young objects would have to wait for a processor, and the loop for them.
    setFlagsFromString('--no-parallel-scavenge');
  } catch {
    // Without the right to it: the election has said so already.
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

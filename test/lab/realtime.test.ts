/**
 * Who runs before whom on a busy box (sched(7)): the election, then the threads that it waits for, then the dataplane.
 * Helper threads at ordinary priority kept the election waiting for up to half a
 * second.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const realtime = suite('real-time priorities');
let stage: Stage;
prepare(realtime, async () => {
  stage = await setUpStage({ connections: 1 });
});
leaveWhenDone(realtime);
const promise = onStage(realtime, () => stage);

interface Thread {
  id: number;
  /** 0: an ordinary one */
  priority: number;
}

/** Fields 40 and 41 of stat: rt_priority and policy; the name in brackets is the second (proc(5)). */
function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { id: Number(id), priority: Number(fields[40 - 3]) };
  });
}

promise('the election before the threads that it waits for, these before the dataplane', async ({ pair }) => {
  const pid = pair['fw-a'].pid ?? 0;
  const threads = threadsOf(pid);
  const count = (priority: number): number => threads.filter((thread) => thread.priority === priority).length;
  if (threads.find(({ id }) => id === pid)?.priority === 0) {
    process.stdout.write('skipped: real-time priority is not allowed here\n');
    return;
  }
  assert.is(threads.find(({ id }) => id === pid)?.priority, 10, 'the election');
  // V8's (their number is the machine's affair) and libuv's four.
  assert.ok(count(9) > 4, `helper threads: ${JSON.stringify(threads)}`);
  assert.is(count(1), 1, 'the dataplane');
  assert.is(count(10), 1, 'nobody else is as soon as the election');
});

realtime.run();

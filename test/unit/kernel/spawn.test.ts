/**
 * Programs started from a thread of real-time priority run at ordinary priority, and their start does not wait for it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findProgram } from '../../../src/kernel/programs.ts';
import { inheritPriority, makeRealTime } from '../../../src/kernel/scheduling.ts';
import { start } from '../../../src/kernel/spawn.ts';

const test = suite('starting programs');

const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** The fields of /proc/…/stat after the name in brackets begin with the third; the policy is the 41st (proc(5)). */
const policyIn = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[41 - 3]);

async function policyOfChild(begin: (program: string, args: string[]) => ReturnType<typeof spawn>): Promise<number> {
  const child = begin('cat', ['/proc/self/stat']);
  const text: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => text.push(chunk.toString()));
  await once(child, 'close');
  return policyIn(text.join(''));
}

test('a program is found as a shell finds it, and in the folders of the administrator', () => {
  assert.ok(findProgram('sh')?.endsWith('/sh'));
  assert.is(findProgram('/bin/sh'), '/bin/sh');
  assert.is(findProgram('no-such-program'), null);
  assert.is(findProgram('/etc/passwd'), null);
});

test('what cannot be started fails in the words of spawn itself', async () => {
  const child = start('no-such-program', [], (program, args) => spawn(program, args));
  const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
  assert.is(error.code, 'ENOENT');
  assert.match(error.message, 'no-such-program');
});

test('the arguments reach the program as they are', async () => {
  const child = start('printf', ['%s|', '--other', 'a b', ''], (program, args) => spawn(program, args));
  const text: string[] = [];
  child.stdout?.on('data', (chunk: Buffer) => text.push(chunk.toString()));
  const [code] = await once(child, 'close');
  assert.is(code, 0);
  assert.is(text.join(''), '--other|a b||');
});

// Last: the priority of this thread is not given back.
test('the child of a real-time thread keeps the priority until it runs, and has an ordinary one then', async () => {
  try {
    makeRealTime(1);
  } catch (error) {
    process.stdout.write(`skipped: ${(error as Error).message}\n`);
    return;
  }
  const begin = (program: string, args: string[]) => spawn(program, args);
  const lowered = await policyOfChild((program, args) => start(program, args, begin));
  assert.is(lowered, SCHED_OTHER);
  assert.is(policyIn(readFileSync('/proc/thread-self/stat', 'latin1')), SCHED_RR, 'this thread keeps its own');
  // The control: while it is passed on, a program started without lowering it has it, from its first moment.
  const restore = inheritPriority();
  if (restore === null) {
    process.stdout.write('skipped: the priority may not be passed on here\n');
    return;
  }
  const passed = policyOfChild(begin);
  restore();
  assert.is(await passed, SCHED_RR);
  assert.is(await policyOfChild(begin), SCHED_OTHER, 'nothing is passed on after that');
});

test.run();

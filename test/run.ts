/**
 * Runs test/<kind>/<topic>.test.ts, each file as a process of its own, on the Node that runs this file.
 *
 *   node test/run.ts [WORD...]      only files whose path contains one of the words (a kind such as `unit` is one)
 *
 * Lab files run one at a time after all others, because they measure; the rest two at a time. Last line:
 * `N passed, N failed` (`, N skipped`). Exit 0 only when nothing failed and something ran.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ending, type FileResult, judge, lastLine } from '../scripts/lib/test-summary.ts';

const LIMIT_S = { lab: 300, other: 120 };
const SLOW_MS = 10_000;
const OUTPUT_LIMIT = 4 << 20;
const alive = new Set<number>();

/** A test file leads its own process group, so that a time limit reaches whatever it started. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}

function runFile(file: string, limitS: number): Promise<FileResult> {
  return new Promise((resolve) => {
    const begun = performance.now();
    // Should this runner be killed outright, its test file goes too.
    const tied = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];
    const argv = [...tied, process.execPath, '--disable-warning=ExperimentalWarning', file];
    // A folder of its own for whatever the file makes, so that nothing stays behind, even of one that was killed.
    const folder = mkdtempSync(join(tmpdir(), 'carpio-test-'));
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env });
    const pieces: string[] = [];
    let size = 0;
    const keep = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= OUTPUT_LIMIT) pieces.push(chunk.toString());
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    let timedOutAfter: number | null = null;
    const timer = setTimeout(() => {
      timedOutAfter = limitS;
      if (child.pid) endGroup(child.pid);
    }, limitS * 1000);
    if (child.pid) alive.add(child.pid);
    const done = (ending: Ending): void => {
      clearTimeout(timer);
      if (child.pid) {
        alive.delete(child.pid);
        endGroup(child.pid);
      }
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
      resolve(judge(file, pieces.join(''), ending, performance.now() - begun));
    };
    child.on('error', (error) => {
      pieces.push(error.message);
      done({ code: 127, signal: null, timedOutAfter: null });
    });
    // 'exit' and not 'close': a stray grandchild that keeps the pipe open must not hold up the run for ever.
    child.on('exit', (code, signal) => setTimeout(() => done({ code, signal, timedOutAfter }), 20));
  });
}

function show(result: FileResult): void {
  const bad = result.failed > 0;
  const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : '';
  const counts = `${result.passed} passed${bad ? `, ${result.failed} FAILED` : ''}${skipped}`;
  process.stdout.write(
    `${bad ? 'FAIL' : 'ok  '} ${(result.ms / 1000).toFixed(1).padStart(6)} s  ${result.file}  (${counts})\n`,
  );
  if (!bad) return;
  const said = result.output.trimEnd().split('\n').join('\n    | ');
  process.stdout.write(`    | ${said}\n${result.trouble ? `    ${result.trouble}\n` : ''}`);
}

async function pool(files: string[], width: number, limitS: number): Promise<FileResult[]> {
  const queue = [...files];
  const results: FileResult[] = [];
  const lane = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file, limitS);
      show(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}

function epilogue(results: FileResult[], ms: number): void {
  const slow = results.filter((result) => result.ms > SLOW_MS).sort((a, b) => b.ms - a.ms);
  const slowest = slow.slice(0, 10).map((result) => `${result.file} ${(result.ms / 1000).toFixed(1)} s`);
  if (slowest.length > 0) process.stdout.write(`slowest: ${slowest.join(', ')}\n`);
  for (const result of results) {
    for (const reason of result.skipReasons) process.stdout.write(`skipped: ${result.file}: ${reason}\n`);
  }
  for (const result of results.filter((one) => one.failed > 0)) {
    process.stdout.write(`failed: ${result.file}${result.trouble ? ` (${result.trouble})` : ''}\n`);
  }
  process.stdout.write(`${results.length} files in ${(ms / 1000).toFixed(1)} s\n${lastLine(results)}\n`);
}

async function main(): Promise<void> {
  const begun = performance.now();
  process.chdir(new URL('..', import.meta.url).pathname);
  const words = process.argv.slice(2);
  const all = globSync('test/**/*.test.ts').sort();
  const files = all.filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
  const isLab = (file: string): boolean => file.startsWith('test/lab/');
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      for (const pid of alive) endGroup(pid);
      process.exit(130);
    });
  }
  const results = [
    ...(await pool(
      files.filter((file) => !isLab(file)),
      2,
      LIMIT_S.other,
    )),
    ...(await pool(files.filter(isLab), 1, LIMIT_S.lab)),
  ];
  if (files.length === 0) process.stdout.write(`no test file matches: ${words.join(' ') || 'test/**/*.test.ts'}\n`);
  epilogue(results, performance.now() - begun);
  process.exitCode = files.length > 0 && results.every((result) => result.failed === 0) ? 0 : 1;
}

await main();

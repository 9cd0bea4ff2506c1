import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addressOf, check, Errno, errno, libc, pollAsync, Sock, SysError } from '../../../src/kernel/libc.ts';
import { fromAsset } from '../../../src/kernel/natives.ts';

// The type library in use does not declare WebAssembly.
const wasm = (
  globalThis as unknown as { WebAssembly: { Memory: new (o: { initial: number }) => { buffer: ArrayBuffer } } }
).WebAssembly;

const libcSuite = suite('kernel: libc');

libcSuite('a failed call is a SysError that says what, which errno and its name', () => {
  try {
    check(libc().close(-1), 'close file 17 of the test');
    assert.unreachable();
  } catch (error) {
    assert.instance(error, SysError);
    const found = error as SysError;
    assert.is(found.errno, 9);
    assert.is(found.code, 'EBADF');
    assert.match(found.message, /^close file 17 of the test: .*\(EBADF\)$/);
  }
  assert.match(new SysError('x', 3999).message, /errno 3999/);
});

libcSuite('an eventfd carries a number through buffers and through plain addresses', () => {
  const fd = check(libc().eventfd(0, Sock.EFD_NONBLOCK | Sock.EFD_CLOEXEC), 'eventfd');
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(77n);
  assert.is(libc().write(fd, bytes, 8), 8);
  const out = Buffer.alloc(8);
  assert.is(libc().read(fd, addressOf(out), 8), 8);
  assert.is(out.readBigUInt64LE(), 77n);
  assert.is(libc().read(fd, out, 8), -1);
  assert.is(errno(), Errno.EAGAIN);
  libc().close(fd);
});

libcSuite('WebAssembly memory is written in place, by address', () => {
  const memory = new wasm.Memory({ initial: 1 });
  const view = Buffer.from(memory.buffer);
  const fd = check(libc().eventfd(5, Sock.EFD_CLOEXEC), 'eventfd');
  assert.is(libc().read(fd, addressOf(view) + 4096n, 8), 8);
  assert.is(view.readBigUInt64LE(4096), 5n);
  libc().close(fd);
});

libcSuite('if_nametoindex and getpid agree with the system', () => {
  assert.is(libc().getpid(), process.pid);
  assert.is(libc().if_nametoindex('no-such-device'), 0);
  assert.is(libc().if_nametoindex('lo'), Number(readFileSync('/sys/class/net/lo/ifindex', 'utf8')));
});

libcSuite('an asynchronous poll ends when the descriptor becomes readable', async () => {
  const fd = check(libc().eventfd(0, Sock.EFD_CLOEXEC), 'eventfd');
  const fds = Buffer.alloc(8);
  fds.writeInt32LE(fd, 0);
  fds.writeInt16LE(Sock.POLLIN, 4);
  const done = new Promise<number>((resolve) => pollAsync(fds, 1, 5000, resolve));
  const one = Buffer.alloc(8);
  one[0] = 1;
  libc().write(fd, one, 8);
  assert.is(await done, 1);
  assert.is(fds.readInt16LE(6) & Sock.POLLIN, Sock.POLLIN);
  libc().close(fd);
});

libcSuite('works in a worker thread beside the main thread', async () => {
  const script = `import { libc } from ${JSON.stringify(new URL('../../../src/kernel/libc.ts', import.meta.url).href)};
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage(libc().getpid());`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), { argv: [] });
  const answer = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  assert.is(answer, process.pid);
});

libcSuite('an add-on is loaded from its bytes, and an unloadable one names every place tried', () => {
  const file = new URL(
    `../../../node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
    import.meta.url,
  );
  const found = fromAsset('koffi.node', readFileSync(file)) as { version: string };
  assert.type(found.version, 'string');
  assert.throws(() => fromAsset('koffi.node', Buffer.from('not an ELF file')), /\/run: .*\/dev\/shm: /);
});

libcSuite.run();

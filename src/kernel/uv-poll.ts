/**
 * Readability of any descriptor as an event of Node's own loop, on the main thread.
 *
 * Node has no public way to watch a netlink or packet socket, but libuv does, and the runtime exports libuv's
 * functions: a uv_poll handle is made through FFI. Against a blocking poll on libuv's thread pool this costs no thread,
 * wakes in about 0.1 ms, and the handle neither keeps the process alive nor makes its exit wait.
 */
import { Errno, SysError } from './libc.ts';
import { type Koffi, loadKoffi } from './natives.ts';

const UV_POLL = 8; // uv_handle_type
const UV_READABLE = 1;
/** So many error wake-ups in a row mean that reading does not clear the error: watching stops. */
const ERRORS_IN_A_ROW = 100;

interface Uv {
  koffi: Koffi;
  loop: bigint;
  pollCallback: unknown;
  closeCallback: unknown;
  handleSize(type: number): number;
  pollInit(loop: bigint, handle: unknown, fd: number): number;
  pollStart(handle: unknown, events: number, callback: unknown): number;
  close(handle: unknown, callback: unknown): void;
  unref(handle: unknown): void;
}

let uv: Uv | null = null;

function declareFunctions(): Uv {
  const koffi = loadKoffi();
  const own = koffi.load(null);
  const poll = koffi.proto('void carpio_poll_cb(void *handle, int status, int events)');
  const close = koffi.proto('void carpio_close_cb(void *handle)');
  return {
    koffi,
    loop: own.func('void *uv_default_loop()')() as bigint,
    pollCallback: koffi.pointer(poll),
    closeCallback: koffi.pointer(close),
    handleSize: own.func('size_t uv_handle_size(int)') as (type: number) => number,
    pollInit: own.func('int uv_poll_init(void *, void *, int)') as Uv['pollInit'],
    pollStart: own.func('int uv_poll_start(void *, int, carpio_poll_cb *)') as Uv['pollStart'],
    close: own.func('void uv_close(void *, carpio_close_cb *)') as Uv['close'],
    unref: own.func('void uv_unref(void *)') as Uv['unref'],
  };
}

export interface FdWatch {
  /** Stops at once. `closed` runs when the descriptor may be closed; closing it earlier would confuse the loop. */
  close(closed?: () => void): void;
}

/**
 * Calls `onReadable` each time the loop finds `fd` readable (level-triggered: read until EAGAIN). Main thread only.
 * The watch does not keep the process alive. Exceptions of `onReadable` go to `onError`, never across the loop.
 * A pending socket error (an overrun netlink socket: ENOBUFS) is a wake-up too: reading returns and clears it.
 * @param fd a descriptor that nothing else in this process watches; must be non-blocking
 */
export function watchFd(fd: number, onReadable: () => void, onError: (error: Error) => void): FdWatch {
  uv ??= declareFunctions();
  const { koffi, ...calls } = uv;
  const handle = koffi.alloc('uint8_t', Number(calls.handleSize(UV_POLL)));
  const rc = calls.pollInit(calls.loop, handle, fd);
  if (rc < 0) {
    koffi.free(handle);
    throw new SysError(`watch descriptor ${fd}`, -rc);
  }
  let open = true;
  let errors = 0;
  const callback = koffi.register((_handle: unknown, status: number) => {
    if (!open) return;
    try {
      errors = status < 0 ? errors + 1 : 0;
      if (errors > ERRORS_IN_A_ROW) throw new SysError(`watch descriptor ${fd} (given up)`, -status);
      // libuv takes a pending socket error for a bad descriptor and stops the watch.
      if (status < 0) calls.pollStart(handle, UV_READABLE, callback);
      onReadable();
    } catch (error) {
      onError(error instanceof Error ? error : new SysError(`watch descriptor ${fd}`, Errno.EIO, String(error)));
    }
  }, calls.pollCallback as string);
  calls.unref(handle);

  const close = (closed?: () => void): void => {
    if (!open) return;
    open = false;
    const done = koffi.register(() => {
      koffi.free(handle);
      // Not inside the callback itself: its slot is in use until it returns.
      setImmediate(() => {
        koffi.unregister(done);
        koffi.unregister(callback);
      });
      closed?.();
    }, calls.closeCallback as string);
    calls.close(handle, done);
  };
  const started = calls.pollStart(handle, UV_READABLE, callback);
  if (started < 0) {
    close();
    throw new SysError(`watch descriptor ${fd}`, -started);
  }
  return { close };
}

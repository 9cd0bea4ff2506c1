import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ControlError, callControl } from '../../../src/cli/control-client.ts';
import {
  CONTROL_LIMITS,
  type ControlHandler,
  type ControlOptions,
  startControl,
} from '../../../src/node/control/server.ts';

const control = suite('cli: control socket');
const dir = mkdtempSync(join(tmpdir(), 'carpio-control-'));
control.after(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
const nextPath = () => join(dir, `s${count++}.sock`);

const HANDLERS: Record<string, ControlHandler> = {
  echo: async (args) => args,
  fail: async () => {
    throw new Error('two\nlines');
  },
  bug: async () => {
    throw new TypeError('x is not a function');
  },
  pages: async (_args, stream) => {
    for (let i = 0; i < 5; i++) await stream([i, i]);
    return { count: 5 };
  },
  flood: async (_args, stream) => {
    for (let i = 0; i < 200; i++) await stream(['x'.repeat(100_000)]);
    return null;
  },
};

async function withServer(act: (path: string) => Promise<void>, options: ControlOptions = {}, handlers = HANDLERS) {
  const path = nextPath();
  const server = await startControl(path, handlers, options);
  try {
    await act(path);
  } finally {
    await server.close();
  }
  assert.not.ok(existsSync(path));
}

/** All that the server says to `bytes`, until it closes. */
async function raw(path: string, bytes: string | null, end = true): Promise<string> {
  const socket = connect(path);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => {});
  if (bytes !== null) socket.write(bytes);
  if (end) socket.end();
  await once(socket, 'close');
  return text;
}

async function refusal(promise: Promise<unknown>): Promise<ControlError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, ControlError);
    assert.not.match((error as Error).message, /\n/);
    return error as ControlError;
  }
  throw new Error('was answered');
}

control('a command, its arguments and its result', () =>
  withServer(async (path) => {
    assert.equal(await callControl(path, 'echo', { a: [1, 'ü', null] }), { a: [1, 'ü', null] });
    assert.equal(await callControl(path, 'echo'), {});
    const chunks: unknown[] = [];
    const result = await callControl(path, 'pages', {}, { onChunk: (chunk) => void chunks.push(...chunk) });
    assert.equal(chunks, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    assert.equal(result, { count: 5 });
  }),
);

control('the socket is for owner and group, its directory for all to enter', async () => {
  const path = join(dir, 'made', 'on', 'the', 'way', 'c.sock');
  const before = process.umask(0o077);
  const server = await startControl(path, HANDLERS);
  assert.is(process.umask(before), 0o077); // given back
  assert.is(statSync(path).mode & 0o777, 0o660);
  assert.is(statSync(join(dir, 'made')).mode & 0o777, 0o755);
  assert.is(statSync(join(dir, 'made', 'on', 'the', 'way')).mode & 0o777, 0o755);
  await server.close();
});

control('errors come back as one line', () => {
  const faults: string[] = [];
  const onFault = (cmd: string, error: Error) => void faults.push(`${cmd} ${error.message}`);
  return withServer(
    async (path) => {
      const failed = await refusal(callControl(path, 'fail'));
      assert.is(failed.kind, 'answer');
      assert.is(failed.message, 'two lines');
      assert.match((await refusal(callControl(path, 'nonsense'))).message, /does not know the command "nonsense"/);
      assert.match((await refusal(callControl(path, 'toString'))).message, /does not know the command/);
      await refusal(callControl(path, 'bug'));
      assert.equal(faults, ['bug x is not a function']);
    },
    { onFault },
  );
});

control('what is no request is refused, and the next one is served', () =>
  withServer(async (path) => {
    const lines = [
      'nonsense',
      '[]',
      'null',
      '{"cmd":5}',
      '{"cmd":"echo","args":[]}',
      '',
      '{"cmd":"echo","args":{"n":1}}',
    ];
    const answers = (await raw(path, `${lines.join('\n')}\n`)).trim().split('\n');
    assert.equal(
      answers.map((line) => JSON.parse(line).ok),
      [false, false, false, false, false, true],
    );
    assert.is(answers.at(-1), '{"ok":true,"result":{"n":1}}');
    assert.is(await raw(path, '{"cmd":"echo"}'), ''); // no newline, then gone
  }),
);

control('a request that is too long ends the connection', () =>
  withServer(async (path) => {
    const pad = (n: number) => `{"cmd":"echo","args":{"p":"${'x'.repeat(n)}"}}\n`;
    const fits = CONTROL_LIMITS.requestBytes - pad(0).length;
    assert.match(await raw(path, pad(fits)), /^{"ok":true/);
    assert.match(await raw(path, pad(fits + 1)), /^{"ok":false,"error":"request longer than 65536 bytes"}\n$/);
    assert.match(await raw(path, 'x'.repeat(CONTROL_LIMITS.requestBytes + 1), false), /longer than/);
  }),
);

control('a client that says nothing, or says it slowly, is let go', () =>
  withServer(
    async (path) => {
      assert.match(await raw(path, null, false), /"no request within 0.05 s"/);
      assert.match(await raw(path, '{"cmd":', false), /no request within/);
      assert.match(await raw(path, '{"cmd":"echo"}\n', false), /^{"ok":true,"result":{}}\n.*no request within/);
    },
    { idleMs: 50 },
  ),
);

control('no more than 16 clients, and one that goes makes room', () =>
  withServer(async (path) => {
    const sockets: Socket[] = [];
    for (let i = 0; i < CONTROL_LIMITS.clients; i++) {
      const socket = connect(path);
      socket.write('{"cmd":"echo"}\n');
      await once(socket, 'data');
      sockets.push(socket);
    }
    assert.match((await refusal(callControl(path, 'echo'))).message, /16 clients are connected/);
    sockets[0]!.destroy();
    for (;;) {
      try {
        assert.equal(await callControl(path, 'echo'), {});
        break;
      } catch (error) {
        assert.match((error as Error).message, /16 clients/); // the server has not seen the goodbye yet
      }
    }
    for (const socket of sockets) socket.destroy();
  }),
);

control('a handler learns that its client has gone', async () => {
  let aborted: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    aborted = resolve;
  });
  const wait: ControlHandler = (_args, { signal }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        aborted();
        resolve(null);
      });
    });
  await withServer(
    async (path) => {
      const failed = await refusal(callControl(path, 'wait', {}, { timeoutMs: 50 }));
      assert.is(failed.kind, 'timeout');
      assert.match(failed.message, /has not answered for 0.05 s/);
      await gone;
    },
    {},
    { wait },
  );
});

control('a client that does not read gets no more than the socket holds, and is let go', () => {
  let written = 0;
  let ended: (error: Error) => void = () => {};
  const end = new Promise<Error>((resolve) => {
    ended = resolve;
  });
  const flood: ControlHandler = async (_args, stream) => {
    try {
      for (; ; written++) await stream(['x'.repeat(100_000)]);
    } catch (error) {
      ended(error as Error);
      throw error;
    }
  };
  return withServer(
    async (path) => {
      const socket = connect(path);
      socket.on('error', () => {});
      socket.pause();
      socket.write('{"cmd":"flood"}\n');
      assert.match((await end).message, /client is gone/);
      assert.ok(written < 50, `${written} chunks`);
      socket.destroy();
    },
    { stuckMs: 50 },
    { flood },
  );
});

control('a slow reader gets everything', () =>
  withServer(async (path) => {
    let bytes = 0;
    const onChunk = async (chunk: unknown[]) => {
      bytes += (chunk[0] as string).length;
      await new Promise((resolve) => setImmediate(resolve));
    };
    await callControl(path, 'flood', {}, { onChunk });
    assert.is(bytes, 20_000_000);
  }),
);

control('a socket that a killed process left is replaced', async () => {
  const path = nextPath();
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  assert.throws(() => execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' }));
  assert.ok(statSync(path).isSocket());
  assert.is((await refusal(callControl(path, 'echo'))).kind, 'absent');
  const server = await startControl(path, HANDLERS);
  assert.equal(await callControl(path, 'echo'), {});
  await server.close();
});

control('a socket at which somebody answers is not', async () => {
  await withServer(async (path) => {
    try {
      await startControl(path, HANDLERS);
      assert.unreachable('took the socket');
    } catch (error) {
      assert.match((error as Error).message, /^another carpio answers at .*; stop it, or/);
    }
    assert.equal(await callControl(path, 'echo'), {}); // and it still does
  });
});

control('anything else in its place is left alone', async () => {
  const path = nextPath();
  writeFileSync(path, 'precious');
  try {
    await startControl(path, HANDLERS);
    assert.unreachable('took the place of a file');
  } catch (error) {
    assert.match((error as Error).message, /is not a socket; remove it/);
  }
  assert.is(statSync(path).size, 8);
});

control('the client says what is wrong', async () => {
  const absent = await refusal(callControl(join(dir, 'absent.sock'), 'echo'));
  assert.is(absent.kind, 'absent');
  assert.match(
    absent.message,
    /no carpio is running here \(.*absent\.sock: no such file\); start it with `carpio run`/,
  );

  const file = nextPath();
  writeFileSync(file, '');
  assert.match((await refusal(callControl(file, 'echo'))).message, /nobody answers|not a socket/);

  const stranger = nextPath();
  const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')).listen(stranger);
  await once(server, 'listening');
  assert.match((await refusal(callControl(stranger, 'echo'))).message, /does not speak carpio's control protocol/);
  server.close();

  const silent = nextPath();
  const closing = createServer((socket) => socket.end()).listen(silent);
  await once(closing, 'listening');
  assert.match((await refusal(callControl(silent, 'echo'))).message, /without an answer/);
  closing.close();
});

control('a directory that may not be written', async () => {
  if (process.getuid?.() === 0) return; // root may write everywhere
  const closed = join(dir, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o500);
  try {
    await startControl(join(closed, 'c.sock'), HANDLERS);
    assert.unreachable('made the socket');
  } catch (error) {
    assert.match((error as Error).message, /permission denied; run as root/);
  }
});

control.run();

// Loaded into a daemon by a test (NODE_OPTIONS): a signal makes its main loop compute for 600 ms, as an endless loop would.
'use strict';
const { isMainThread } = require('node:worker_threads');
if (isMainThread && process.argv.includes('run')) {
  process.on('SIGUSR2', () => {
    const end = Date.now() + 600;
    while (Date.now() < end);
  });
}

#!/bin/sh
# The daemon from its sources, with a hook that makes its main loop compute (busy-loop.cjs).
here=$(dirname "$0")
exec "$CARPIO_TEST_NODE" --disable-warning=ExperimentalWarning --disable-sigusr1 --require "$here/busy-loop.cjs" "$here/../../../src/main.ts" "$@"

/** What travels with the program: the WebAssembly module, the status page, the dataplane worker. In the single
 * executable they are inside; from a checkout they are the build's files beside the sources. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sea from 'node:sea';
import type { WorkerEntry } from '../sync/control/handle.ts';

export interface Assets {
  wasm: Uint8Array;
  page: string;
  worker: WorkerEntry;
}

/** @throws Error that names the missing file and how to make it */
export function loadAssets(): Assets {
  if (sea.isSea()) {
    return {
      wasm: new Uint8Array(sea.getAsset('engine.wasm')),
      page: sea.getAsset('page.html', 'utf8'),
      worker: { code: sea.getAsset('worker.cjs', 'utf8') },
    };
  }
  // From a checkout the entry script is src/main.ts (or a test that says where the sources are).
  const source = process.env.CARPIO_SOURCE ?? dirname(process.argv[1] ?? 'src/main.ts');
  return {
    wasm: read(join(source, '..', 'build', 'engine.wasm')),
    page: read(join(source, '..', 'build', 'page.html')).toString('utf8'),
    worker: { file: join(source, 'sync', 'worker', 'worker.ts') },
  };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new Error(`${path} is missing: run \`npm run build\` in the checkout`);
  }
}

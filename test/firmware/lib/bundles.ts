/** Upgrades for the tests: the image's own system again, and one whose Carpio does not start. */
import { spawnSync } from 'node:child_process';
import { createReadStream, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';

function must(program: string, args: readonly string[]): void {
  const done = spawnSync(program, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.error?.message ?? done.stderr}`);
}

/** A key and its certificate that the image does not know. */
export function strangersKey(folder: string): { cert: string; key: string } {
  const [cert, key] = [`${folder}/stranger.cert.pem`, `${folder}/stranger.key.pem`];
  must('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=stranger',
    '-days',
    '365',
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  return { cert, key };
}

/** @param root squashfs image @returns path of the bundle */
export function bundleOf(root: string, folder: string, name: string, signer: { cert: string; key: string }): string {
  const content = `${folder}/${name}`;
  mkdirSync(content);
  must('cp', [root, `${content}/rootfs.img`]);
  const manifest = `[update]\ncompatible=carpio-x86_64\nversion=${name}\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=rootfs.img\n`;
  writeFileSync(`${content}/manifest.raucm`, manifest);
  const out = `${folder}/${name}.raucb`;
  must('rauc', ['bundle', `--cert=${signer.cert}`, `--key=${signer.key}`, content, out]);
  rmSync(content, { recursive: true });
  return out;
}

/** The tree of the image's build with a Carpio that ends at once. */
export function brokenRoot(tree: string, folder: string): string {
  const broken = `${folder}/broken`;
  must('cp', ['-al', tree, broken]);
  rmSync(`${broken}/usr/bin/carpio`);
  writeFileSync(`${broken}/usr/bin/carpio`, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const out = `${folder}/broken.squashfs`;
  must('mksquashfs', [
    broken,
    out,
    '-comp',
    'gzip',
    '-Xcompression-level',
    '1',
    '-no-xattrs',
    '-all-root',
    '-quiet',
    '-no-progress',
  ]);
  rmSync(broken, { recursive: true });
  return out;
}

/** Serves the files of a folder on 127.0.0.1; a box with user networking sees it at its gateway. */
export async function serve(folder: string): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    const path = `${folder}/${(request.url ?? '').replace(/[^a-z0-9.-]/gi, '')}`;
    try {
      response.writeHead(200, { 'content-length': statSync(path).size });
      createReadStream(path).pipe(response);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : 0 };
}

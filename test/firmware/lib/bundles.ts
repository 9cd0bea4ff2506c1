/** Upgrades for the tests: the image's own system again, and one whose Carpio does not start. */
import { spawnSync } from 'node:child_process';
import { createReadStream, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

/** The tree of the image's build with another program as its Carpio. */
function rootWith(tree: string, folder: string, name: string, program: Buffer): string {
  const copy = `${folder}/${name}`;
  must('cp', ['-al', tree, copy]);
  rmSync(`${copy}/usr/bin/carpio`);
  writeFileSync(`${copy}/usr/bin/carpio`, program, { mode: 0o755 });
  const out = `${folder}/${name}.squashfs`;
  const fast = ['-comp', 'gzip', '-Xcompression-level', '1'];
  must('mksquashfs', [copy, out, ...fast, '-no-xattrs', '-all-root', '-quiet', '-no-progress']);
  rmSync(copy, { recursive: true });
  return out;
}

/** A system whose Carpio ends at once. */
export const brokenRoot = (tree: string, folder: string): string =>
  rootWith(tree, folder, 'broken', Buffer.from('#!/bin/sh\nexit 1\n'));

/** A system whose Carpio is the same program under another version number, of the same length. */
export function renamedRoot(tree: string, folder: string, from: string, to: string): string {
  const program = readFileSync(`${tree}/usr/bin/carpio`);
  const [old, fresh] = [Buffer.from(`"${from}"`), Buffer.from(`"${to}"`)];
  if (old.length !== fresh.length) throw new Error(`${from} and ${to} differ in length`);
  let at = program.indexOf(old);
  if (at < 0) throw new Error(`no ${from} in the program`);
  for (; at >= 0; at = program.indexOf(old, at)) fresh.copy(program, at);
  return rootWith(tree, folder, 'renamed', program);
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

/** The files that the tidy test looks at: what git tracks, read once. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { type Cut, cutSource, importsOf } from './source.ts';

export interface Source extends Cut {
  path: string;
  text: string;
  /** Files of the tree that this one imports. */
  imports: { to: string; line: number; type: boolean }[];
}

export interface Tree {
  /** Every tracked path. */
  paths: Set<string>;
  sources: Source[];
  /** Markdown pages. */
  pages: { path: string; text: string }[];
}

/** One broken rule: where, what, and how to mend it. */
export interface Finding {
  rule: string;
  path: string;
  line: number;
  found: string;
  mend: string;
}

const SOURCE = /\.(ts|mts|mjs)$/;
/** AssemblyScript leaves the ending out. */
const ENDINGS = ['', '.ts'];

function resolved(paths: Set<string>, from: string, spec: string): string | null {
  const target = posix.normalize(posix.join(posix.dirname(from), spec));
  for (const ending of ENDINGS) if (paths.has(target + ending)) return target + ending;
  return null;
}

/** Makes a tree of texts; tests make small ones by hand. */
export function treeOf(texts: ReadonlyMap<string, string>, paths: Set<string> = new Set(texts.keys())): Tree {
  const sources: Source[] = [];
  const pages: Tree['pages'] = [];
  for (const [path, text] of texts) {
    if (path.endsWith('.md')) pages.push({ path, text });
    if (!SOURCE.test(path)) continue;
    const cut = cutSource(text);
    const imports = importsOf(cut).flatMap(({ spec, line, type }) => {
      const to = resolved(paths, path, spec);
      return to === null ? [] : [{ to, line, type }];
    });
    sources.push({ ...cut, path, text, imports });
  }
  return { paths, sources, pages };
}

/** @param root the checkout */
export function readTree(root: string): Tree {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  const paths = new Set(
    listed
      .toString()
      .split('\0')
      .filter((path) => path !== '' && existsSync(`${root}/${path}`)),
  );
  const texts = new Map<string, string>();
  for (const path of paths) {
    if (SOURCE.test(path) || path.endsWith('.md')) texts.set(path, readFileSync(`${root}/${path}`, 'utf8'));
  }
  return treeOf(texts, paths);
}

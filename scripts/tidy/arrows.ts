/** Imports point down, and never round in a circle. Pure. */
import type { Finding, Source, Tree } from './tree.ts';

/**
 * The floors of src/, the highest first (docs/architecture.md, "Floors"). Rooms of one floor do not import each other.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['main.ts'],
  ['cli'],
  ['node'],
  ['replicate', 'feed', 'import', 'box'],
  ['recording'],
  ['liveness'],
  ['gate'],
  ['channel'],
  ['sync'],
  ['carp'],
  ['config'],
  ['kernel'],
  ['contract'],
  ['net'],
];

/** The floors inside a room, the highest first. */
const INNER_FLOORS: Readonly<Record<string, readonly string[]>> = {
  sync: ['control', 'worker', 'dialect', 'session', 'repair', 'seal', 'wire', 'table'],
};

const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room));
const roomOf = (path: string): string | null => /^src\/([^/]+)/.exec(path)?.[1] ?? null;
const innerOf = (path: string): string => /^src\/[^/]+\/([^/]+)\//.exec(path)?.[1] ?? '';
const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

const NO_FLOOR = 'give it one in scripts/tidy/arrows.ts';
const DOWN = 'move what both need down, or pass it in';

export function upwardImports(tree: Tree): Finding[] {
  return tree.sources.flatMap((source) => source.imports.flatMap(({ to, line }) => upward(source, to, line)));
}

function upward(source: Source, to: string, line: number): Finding[] {
  const finding = (found: string, mend: string): Finding[] => [{ rule: 'arrow', path: source.path, line, found, mend }];
  const top = (path: string): string => path.split('/')[0] as string;
  if (top(source.path) === 'scripts' && top(to) === 'test') {
    return finding(`scripts/ imports ${to}`, 'move what both need to a library under scripts/');
  }
  if ((top(source.path) === 'src' || top(source.path) === 'asm') && top(to) !== 'src' && top(to) !== 'asm') {
    return finding(`the product imports ${to}`, 'what the product needs stands in src/ or asm/');
  }
  const own = roomOf(source.path);
  const other = roomOf(to);
  if (own === null || other === null) return [];
  if (own === other) {
    const floors = INNER_FLOORS[own] ?? [];
    const [from, below] = [floors.indexOf(innerOf(source.path)), floors.indexOf(innerOf(to))];
    if (floors.length > 0 && (from < 0 || below < 0)) return finding(`${own} has a folder without a floor`, NO_FLOOR);
    return below < from ? finding(`${source.path} imports ${to}, which is above it`, DOWN) : [];
  }
  if (floorOf(own) < 0) return finding(`the room ${own} has no floor`, NO_FLOOR);
  if (floorOf(other) > floorOf(own)) return [];
  return finding(`${own} imports ${to}, which is not below it`, 'move the shared shape to contract/, or pass it in');
}

/** Circles among `nodes`, each once, as the list of its members. */
function circles(edges: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const walk = (node: string, way: string[]): void => {
    const at = way.indexOf(node);
    if (at >= 0) {
      found.push(way.slice(at));
      return;
    }
    if (done.has(node)) return;
    for (const next of edges.get(node) ?? []) walk(next, [...way, node]);
    done.add(node);
  };
  for (const node of edges.keys()) walk(node, []);
  return found;
}

function edgesBy(tree: Tree, name: (path: string) => string): Map<string, Set<string>> {
  const edges = new Map<string, Set<string>>();
  for (const source of tree.sources) {
    for (const { to, type } of source.imports) {
      // The parts of the simulated world know each other by type; when it runs, only the world makes them.
      if (type && source.path.startsWith('scripts/sim/')) continue;
      const [a, b] = [name(source.path), name(to)];
      if (a === b) continue;
      const set = edges.get(a) ?? new Set();
      edges.set(a, set.add(b));
    }
  }
  return edges;
}

/** A folder holds what is in it: `src/sync` importing from `src/sync/table` is no arrow between rooms. */
function withoutNests(edges: Map<string, Set<string>>): Map<string, Set<string>> {
  const nested = (a: string, b: string): boolean => a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
  return new Map([...edges].map(([from, set]) => [from, new Set([...set].filter((to) => !nested(from, to)))]));
}

export function circularImports(tree: Tree): Finding[] {
  const files = circles(edgesBy(tree, (path) => path));
  const folders = circles(withoutNests(edgesBy(tree, folderOf)));
  const say =
    (what: string) =>
    (ring: string[]): Finding => ({
      rule: 'circle',
      path: ring[0] as string,
      line: 1,
      found: `${what} in a circle: ${[...ring, ring[0]].join(' > ')}`,
      mend: 'move what both need to a place below both',
    });
  return [...files.map(say('files')), ...folders.map(say('folders'))];
}

/** Only kernel/ loads native code, and a file that calls itself pure imports none of what touches the outside. */
export function impureImports(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const pure = new Set(tree.sources.filter(isPure).map(({ path }) => path));
  for (const source of tree.sources.filter(({ path }) => path.startsWith('src/'))) {
    if (!source.path.startsWith('src/kernel/') && /from '(koffi|raw-socket)'/.test(source.code)) {
      findings.push(native(source));
    }
    if (!isPure(source)) continue;
    const outside = source.imports.find(
      ({ to }) => to.startsWith('src/kernel/') && isValue(source, to) && !pure.has(to),
    );
    const effect =
      /(?<!\{ (?:isIP(?:v[46])?,? ?)+\} )from 'node:(fs|net|dgram|child_process|http|https|tls|worker_threads)'/.exec(
        source.code,
      );
    if (outside === undefined && effect === null) continue;
    findings.push({
      rule: 'pure',
      path: source.path,
      line: outside?.line ?? 1,
      found: `calls itself pure and imports ${outside?.to ?? effect?.[0]}`,
      mend: 'hand the value in, or do not call the file pure',
    });
  }
  return findings;
}

/** The file's own word for it, in its first comment. */
const isPure = (source: Source): boolean => /\bPure\b/.test(source.comments[0]?.text ?? '');

const native = (source: Source): Finding => ({
  rule: 'pure',
  path: source.path,
  line: 1,
  found: 'loads native code',
  mend: 'only src/kernel/ does',
});

/** Types are no effect. */
function isValue(source: Source, to: string): boolean {
  const name = to.slice(to.lastIndexOf('/') + 1);
  const escaped = name.replace(/[.]/g, '\\.');
  const lines = [...source.code.matchAll(new RegExp(`import (type )?([^;]*?)from '[^']*/${escaped}'`, 'g'))];
  return lines.some((match) => match[1] === undefined && !/^\{(\s*type [^,}]+,?)+\}\s*$/.test((match[2] ?? '').trim()));
}

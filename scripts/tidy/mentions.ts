/** What comments and pages name must exist: files, sections, symbols. Pure. */
import type { Finding, Tree } from './tree.ts';

/** Files of other projects: FreeBSD's and NetBSD's CARP tests. */
const FOREIGN: ReadonlySet<string> = new Set([
  'iproute2.sh',
  'carp.sh',
  'tests/sys/netinet/carp.sh',
  't_basic.sh',
  'tests/net/carp/t_basic.sh',
]);
const FILE = /(?<![\w/.@*{}<>$-])((?:[\w-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|mts|mjs|md|svg|sh))\b(?!\()/g;
const SECTION = /([\w/-]+\.md),? sections? ((?:\d+(?:\.\d+)*)(?:(?:, | and | to )\d+(?:\.\d+)*)*)/g;
const SYMBOL = /`([a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*)(?:\(\))?`/g;

interface Prose {
  path: string;
  line: number;
  text: string;
}

function proseOf(tree: Tree): Prose[] {
  const prose: Prose[] = tree.pages
    .filter(({ path }) => path !== 'CHANGELOG.md' && !path.startsWith('test/vectors/'))
    .map(({ path, text }) => ({ path, line: 1, text }));
  for (const source of tree.sources) {
    for (const comment of source.comments) prose.push({ path: source.path, ...comment });
  }
  return prose;
}

const lineAt = ({ line, text }: Prose, index: number): number => line + text.slice(0, index).split('\n').length - 1;

export function missingFiles(tree: Tree): Finding[] {
  const tails = new Set<string>();
  for (const path of tree.paths) {
    const parts = path.split('/');
    for (let i = 0; i < parts.length; i += 1) tails.add(parts.slice(i).join('/'));
  }
  return proseOf(tree).flatMap((prose) =>
    [...prose.text.matchAll(FILE)]
      .map((match) => ({ name: match[1] as string, index: match.index }))
      .filter(({ name }) => !tails.has(name) && !FOREIGN.has(name))
      .map(({ name, index }) => ({
        rule: 'mention',
        path: prose.path,
        line: lineAt(prose, index),
        found: `names ${name}, which is not there`,
        mend: 'name what is there now, or say it without a name',
      })),
  );
}

function sectionsOf(text: string): Set<string> {
  return new Set([...text.matchAll(/^#+ (\d+(?:\.\d+)*)\.? /gm)].map((match) => match[1] as string));
}

export function missingSections(tree: Tree): Finding[] {
  return proseOf(tree).flatMap((prose) =>
    [...prose.text.matchAll(SECTION)].flatMap((match) => {
      const page = tree.pages.find(({ path }) => path === match[1] || path.endsWith(`/${match[1]}`));
      const there = page === undefined ? new Set<string>() : sectionsOf(page.text);
      const named = (match[2] as string).split(/, | and | to /);
      return named
        .filter((section) => !there.has(section))
        .map((section) => ({
          rule: 'mention',
          path: prose.path,
          line: lineAt(prose, match.index),
          found: `names section ${section} of ${match[1]}, which is not there`,
          mend: 'name the heading as it is now',
        }));
    }),
  );
}

/** @param known words that are no symbols of ours: other programs', the language's, an RFC's */
export function missingSymbols(tree: Tree, known: ReadonlySet<string>): Finding[] {
  const words = new Set<string>();
  for (const source of tree.sources) for (const [word] of source.code.matchAll(/[A-Za-z_]\w*/g)) words.add(word);
  return proseOf(tree).flatMap((prose) =>
    [...prose.text.matchAll(SYMBOL)]
      .filter((match) => !words.has(match[1] as string) && !known.has(match[1] as string))
      .map((match) => ({
        rule: 'mention',
        path: prose.path,
        line: lineAt(prose, match.index),
        found: `names \`${match[1]}\`, which no code has`,
        mend: 'use its present name, or add a foreign word to the list in test/tidy/house.test.ts',
      })),
  );
}

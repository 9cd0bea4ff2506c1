/** Exports that nobody imports, and lines that are too long. Pure. */
import type { Finding, Tree } from './tree.ts';

const EXPORT =
  /^export (?:declare )?(?:async )?(?:abstract )?(?:const enum|const|let|function\*?|class|interface|type|enum) (\w+)/gm;
const WIDTH = 120;

/** Entry points: what stands there is used from outside the tree. */
const ENTRIES = /^(asm\/index(\.bench)?\.ts|src\/main\.ts|src\/sync\/worker\/worker\.ts)$/;

/**
 * An export counts as used when another file of the tree has its name in its code. That is generous (the other may mean
 * something else by it), and it never calls a used one unused.
 */
export function unusedExports(tree: Tree): Finding[] {
  const users = new Map<string, Set<string>>();
  for (const source of tree.sources) {
    for (const [word] of source.bare.matchAll(/\w+/g)) users.set(word, (users.get(word) ?? new Set()).add(source.path));
  }
  const findings: Finding[] = [];
  for (const source of tree.sources) {
    if (ENTRIES.test(source.path)) continue;
    for (const match of source.bare.matchAll(EXPORT)) {
      const name = match[1] as string;
      if ((users.get(name)?.size ?? 0) > 1) continue;
      findings.push({
        rule: 'export',
        path: source.path,
        line: source.bare.slice(0, match.index).split('\n').length,
        found: `exports ${name}, which no other file uses`,
        mend: 'take the word export away, or the code',
      });
    }
  }
  return findings;
}

/**
 * Code and comments; a long string literal may not be folded by the formatter, so a line that is mostly one may stand.
 */
export function longLines(tree: Tree): Finding[] {
  return tree.sources.flatMap((source) => {
    const bare = source.bare.split('\n');
    return source.text.split('\n').flatMap((text, index) => {
      const inString = text.length - (bare[index] ?? '').replace(/ /g, '').length > WIDTH / 2;
      const isComment = /^\s*(\/\/|\*|\/\*)/.test(text);
      if (text.length <= WIDTH || (inString && !isComment)) return [];
      return [
        {
          rule: 'width',
          path: source.path,
          line: index + 1,
          found: `${text.length} characters, ${WIDTH} are the width`,
          mend: 'fold the line',
        },
      ];
    });
  });
}

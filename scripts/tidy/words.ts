/** One word for one thing (docs/glossary.md): the other words for it are no part of an identifier. Pure. */
import type { Finding, Tree } from './tree.ts';

interface Ban {
  /** One part of an identifier, in lower case. */
  part: RegExp;
  /** Where the word could only mean that. */
  where: RegExp;
  say: string;
}

const BANS: readonly Ban[] = [
  { part: /^records?$/, where: /^(asm|src\/sync)\//, say: 'state' },
  {
    part: /^(recon|reconcil\w*|sketch\w*)$/,
    where: /^(asm|src|scripts)\//,
    say: 'repair (its technique: coded symbols)',
  },
  { part: /^(mine|theirs|nobodys?)$/, where: /^(asm|src\/sync)\//, say: 'own, mirrored, unclaimed' },
  { part: /^upserts?$/, where: /^(asm|src|scripts)\//, say: 'update' },
  { part: /^failovers?to$/, where: /^src\//, say: 'take-over, hand-over or failback' },
];

/** TypeScript's own, and the names of recordings. */
const ALLOWED: ReadonlySet<string> = new Set(['Record']);

const partsOf = (word: string): string[] =>
  word
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[ _]+/)
    .map((part) => part.toLowerCase());

export function wrongWords(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const source of tree.sources) {
    const bans = BANS.filter(({ where }) => where.test(source.path));
    if (bans.length === 0) continue;
    const seen = new Set<string>();
    for (const match of source.bare.matchAll(/[A-Za-z_]\w*/g)) {
      const word = match[0];
      if (ALLOWED.has(word) || seen.has(word)) continue;
      seen.add(word);
      const ban = bans.find(({ part }) => partsOf(word).some((piece) => part.test(piece)));
      if (ban === undefined) continue;
      const line = source.bare.slice(0, match.index).split('\n').length;
      const found = `the identifier ${word}`;
      findings.push({ rule: 'word', path: source.path, line, found, mend: `the word is: ${ban.say}` });
    }
  }
  return findings;
}

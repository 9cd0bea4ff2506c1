/** All rules of the house (docs/architecture.md, "What holds the house"), and what a finding looks like on a screen. */
import { circularImports, impureImports, upwardImports } from './arrows.ts';
import { longLines, unusedExports } from './exports.ts';
import { missingFiles, missingSections, missingSymbols } from './mentions.ts';
import type { Finding, Tree } from './tree.ts';
import { wrongWords } from './words.ts';

/** Words in backticks that look like symbols and are other people's: systemd's, the kernel's. */
const FOREIGN_WORDS: ReadonlySet<string> = new Set(['MemoryDenyWriteExecute', 'ProtectKernelTunables']);

export const RULES: Readonly<Record<string, (tree: Tree) => Finding[]>> = {
  'imports point down': upwardImports,
  'no circle of files or folders': circularImports,
  'pure files stay pure': impureImports,
  'files that are named exist': missingFiles,
  'sections that are named exist': missingSections,
  'symbols that are named exist': (tree) => missingSymbols(tree, FOREIGN_WORDS),
  'what is exported is used': unusedExports,
  'lines fit the width': longLines,
  'one word for one thing': wrongWords,
};

export const lineOf = ({ path, line, found, mend }: Finding): string => `${path}:${line}: ${found}. Mend: ${mend}`;

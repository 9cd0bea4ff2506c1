/**
 * Manual pages (man(7) macros) from what is already written: the commands' help and docs/configuration.md. Written a
 * second time they would not stay true. Pure.
 */

interface PageHead {
  name: string;
  section: number;
  summary: string;
  version: string;
  /** YYYY-MM-DD */
  date: string;
}

/**
 * Text as roff shows it: no line may begin with a control character, a backslash is a letter, a hyphen can be copied.
 */
export function escapeRoff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

/** Bold for `code` and **strong**, italic for *emphasis*; links become their text. */
export function inline(text: string): string {
  const parts = text.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1').split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)/);
  return parts
    .map((part) => {
      if (part.startsWith('`')) return `\\fB${escapeRoff(part.slice(1, -1))}\\fR`;
      if (part.startsWith('**')) return `\\fB${escapeRoff(part.slice(2, -2))}\\fR`;
      if (/^\*[^*]/.test(part)) return `\\fI${escapeRoff(part.slice(1, -1))}\\fR`;
      return escapeRoff(part);
    })
    .join('');
}

function head({ name, section, summary, version, date }: PageHead): string {
  const title = `.TH ${name.toUpperCase()} ${section} "${date}" "carpio ${version}" "Carpio"`;
  return `${title}\n.SH NAME\n${escapeRoff(name)} \\- ${escapeRoff(summary)}\n`;
}

const verbatim = (text: string): string => `.PP\n.nf\n.RS 4\n${escapeRoff(text.trimEnd())}\n.RE\n.fi\n`;

/** A program's page: overview, then a section per command with its help text as `--help` prints it. */
export function commandPage(
  page: PageHead,
  intro: string,
  commands: readonly { name: string; help: string }[],
): string {
  const body = commands.map(({ name, help }) => `.SS ${escapeRoff(name)}\n${verbatim(help)}`).join('');
  return `${head(page)}.SH SYNOPSIS\n\\fBcarpio\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n.SH DESCRIPTION\n${intro}.SH COMMANDS\n${body}`;
}

/** A page from Markdown: headings, paragraphs, lists, fenced and indented code, tables (a tagged paragraph per row). */
export function markdownPage(page: PageHead, markdown: string): string {
  const out: string[] = ['.SH DESCRIPTION'];
  for (const block of blocksOf(markdown)) out.push(...blockLines(block));
  return `${head(page)}${out.join('\n')}\n`;
}

type Block = { kind: 'heading' | 'text' | 'code' | 'table' | 'item'; lines: string[]; level: number };

/** How each kind of line goes on; the first that fits. */
const KINDS: readonly (readonly [Block['kind'], RegExp])[] = [
  ['heading', /^#{1,6} /],
  ['table', /^\|/],
  ['item', /^([*-]|\d+\.) /],
  ['code', /^ {4}\S/],
  ['text', /./],
];

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | null = null;
  let fenced = false;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) {
      fenced = !fenced;
      open = fenced ? { kind: 'code', lines: [], level: 0 } : null;
      if (open !== null) blocks.push(open);
    } else if (fenced) open?.lines.push(line);
    else if (line.trim() === '') open = null;
    else {
      const kind = (KINDS.find(([, shape]) => shape.test(line)) ?? (['text'] as const))[0];
      const goesOn = open !== null && (open.kind === kind || (open.kind === 'item' && /^ +\S/.test(line)));
      if (open === null || !goesOn || kind === 'heading' || (kind === 'item' && !/^ /.test(line))) {
        open = { kind, lines: [], level: /^#*/.exec(line)?.[0].length ?? 0 };
        blocks.push(open);
      }
      open.lines.push(line);
    }
  }
  return blocks;
}

function blockLines(block: Block): string[] {
  const joined = block.lines.map((line) => line.trim()).join(' ');
  switch (block.kind) {
    case 'heading': {
      const text = escapeRoff(joined.replace(/^#+ /, ''));
      if (block.level === 1) return [];
      return [block.level === 2 ? `.SH ${text}` : `.SS ${text}`];
    }
    case 'code':
      return [verbatim(block.lines.map((line) => line.replace(/^ {4}/, '')).join('\n')).trimEnd()];
    case 'item':
      return ['.IP \\(bu 3', inline(joined.replace(/^([*-]|\d+\.) /, ''))];
    case 'table':
      return tableLines(block.lines);
    case 'text':
      return ['.PP', inline(joined)];
  }
}

/** The first cell is the tag; the others follow it, each behind its column's name but the last. */
function tableLines(lines: readonly string[]): string[] {
  const cells = (line: string): string[] =>
    line
      .replace(/^\||\|$/g, '')
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll('\\|', '|'));
  const [names = [], , ...rows] = lines.map(cells);
  return rows.flatMap((row) => {
    const [tag = '', ...rest] = row;
    const facts = rest.slice(0, -1).map((cell, i) => `${names[i + 1] ?? ''}: ${cell}`);
    const text = [rest.at(-1) ?? '', facts.length > 0 ? `(${facts.join('; ')})` : ''].filter(Boolean).join(' ');
    return ['.TP', inline(tag), inline(text)];
  });
}

/**
 * Metrics as text, in the two formats that scrapers read: OpenMetrics 1.0, and the Prometheus text format 0.0.4 for all
 * who do not ask for the first. They differ in what stands around the same samples. Pure.
 *
 * | | OpenMetrics | Prometheus |
 * |---|---|---|
 * | a counter's family | `x`, its sample `x_total` | `x_total` |
 * | an information | type `info`, its sample `x_info` | a gauge `x_info` |
 * | unit | a line of its own | none |
 * | end | `# EOF` | none |
 */

export type Format = 'openmetrics' | 'prometheus';

type Labels = Record<string, string | number>;
export type Sample = [value: number | boolean | null, labels?: Labels];
type Kind = 'gauge' | 'counter' | 'info';

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

const SUFFIX = { gauge: '', counter: '_total', info: '_info' } as const;

/** What a scraper takes, by its Accept header (RFC 9110 section 12.5.1): OpenMetrics only for who names it. */
export function formatFor(accept: string | undefined): Format {
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    if (type === 'application/openmetrics-text' && !refused) return 'openmetrics';
  }
  return 'prometheus';
}

export class Page {
  private readonly lines: string[] = [];
  private readonly format: Format;

  constructor(format: Format) {
    this.format = format;
  }

  /** @param counts how many were up to each bound (and above the one before), then how many beyond the last */
  histogram(name: string, help: string, bounds: readonly number[], counts: readonly number[], sum: number): void {
    this.head(name, 'histogram', help);
    let total = 0;
    counts.forEach((count, i) => {
      total += count;
      this.lines.push(`${name}_bucket{le="${bounds[i] ?? '+Inf'}"} ${total}`);
    });
    this.lines.push(`${name}_count ${total}`, `${name}_sum ${sum}`);
  }

  /** One metric family; its samples share name and type. A family none of whose values is known is left out. */
  family(name: string, kind: Kind, help: string, samples: Sample[]): void {
    const suffix = SUFFIX[kind];
    const lines: string[] = [];
    for (const [value, labels] of samples) {
      const number = Number(value ?? Number.NaN);
      if (Number.isFinite(number)) lines.push(`${name}${suffix}${labelText(labels)} ${number}`);
    }
    if (lines.length === 0) return;
    if (this.format === 'openmetrics') this.head(name, kind, help);
    else this.head(`${name}${suffix}`, kind === 'info' ? 'gauge' : kind, help);
    this.lines.push(...lines);
  }

  text(): string {
    return `${this.lines.join('\n')}\n${this.format === 'openmetrics' ? '# EOF\n' : ''}`;
  }

  private head(name: string, kind: string, help: string): void {
    this.lines.push(`# TYPE ${name} ${kind}`);
    const unit = /_(seconds|bytes)$/.exec(name)?.[1];
    if (unit !== undefined && this.format === 'openmetrics') this.lines.push(`# UNIT ${name} ${unit}`);
    this.lines.push(`# HELP ${name} ${help}`);
  }
}

function labelText(labels: Labels | undefined): string {
  if (labels === undefined) return '';
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(String(value))}"`)
    .join(',')}}`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

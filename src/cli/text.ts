/** Small pieces of the commands' text output. Pure. */

/** A span of time in ms as a person says it: `40 ms`, `3.2 s`, `12 min 5 s`, `2 h 13 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '?';
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 10) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => s >= size);
  const [size, name] = units[first]!;
  const next = units[first + 1];
  const rest = next ? Math.floor((s % size) / next[0]) : 0;
  return `${Math.floor(s / size)} ${name}${next && rest > 0 ? ` ${rest} ${next[1]}` : ''}`;
}

/** The span as seconds with three digits, for times that are compared: `3.391 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}

const ESC = String.fromCharCode(27);

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export type Paint = (style: keyof typeof CODES, text: string) => string;

/** Colours, or nothing at all where they would be noise. */
export function painter(colour: boolean): Paint {
  return (style, text) => (colour ? `${ESC}[${CODES[style]}m${text}${ESC}[0m` : text);
}

const COLOUR_CODE = new RegExp(`${ESC}\\[[0-9]+m`, 'g');

/** Columns a text takes on a terminal. */
export function width(text: string): number {
  return text.replace(COLOUR_CODE, '').length;
}

/** Rows as columns, two spaces apart, the last column ragged. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, width(cell));
    });
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - width(cell))))
      .join('  ')
      .trimEnd(),
  );
}

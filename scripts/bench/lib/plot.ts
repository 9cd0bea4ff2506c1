/** A line plot as SVG text: titled axes, linear or logarithmic, a legend. Nothing but numbers goes in. */

interface Axis {
  title: string;
  log?: boolean;
  least: number;
  most: number;
  ticks: readonly number[];
}

export interface Line {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
  dashed?: boolean;
}

const SIZE = { width: 640, height: 380, left: 70, right: 20, top: 40, bottom: 50 } as const;
const COLOURS = ['#0b6e99', '#c2410c', '#4d7c0f', '#7e22ce'] as const;

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** Place of a value on an axis that runs from `from` to `to`; what is beyond its ends is put at them. */
function scale(axis: Axis, from: number, to: number): (value: number) => number {
  const at = (value: number): number => (axis.log === true ? Math.log(value) : value);
  const [low, high] = [at(axis.least), at(axis.most)];
  return (value) => {
    const inside = Math.min(axis.most, Math.max(axis.least, value));
    return from + ((at(inside) - low) / (high - low)) * (to - from);
  };
}

export function plot(title: string, x: Axis, y: Axis, lines: readonly Line[]): string {
  const { width, height, left, right, top, bottom } = SIZE;
  const px = scale(x, left, width - right);
  const py = scale(y, height - bottom, top);
  const text = (at: string, content: string): string => `<text ${at}>${escaped(content)}</text>`;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(`x="${left}" y="20" font-size="14" font-weight="bold"`, title),
  ];
  for (const tick of x.ticks) {
    const at = px(tick).toFixed(1);
    out.push(`<path d="M${at} ${top}V${height - bottom}" stroke="#e5e5e5"/>`);
    out.push(text(`x="${at}" y="${height - bottom + 16}" text-anchor="middle"`, tick.toLocaleString('en')));
  }
  for (const tick of y.ticks) {
    const at = py(tick).toFixed(1);
    out.push(`<path d="M${left} ${at}H${width - right}" stroke="#e5e5e5"/>`);
    out.push(text(`x="${left - 6}" y="${Number(at) + 4}" text-anchor="end"`, tick.toLocaleString('en')));
  }
  out.push(text(`x="${(left + width - right) / 2}" y="${height - 12}" text-anchor="middle"`, x.title));
  const middle = (top + height - bottom) / 2;
  out.push(text(`x="16" y="${middle}" text-anchor="middle" transform="rotate(-90 16 ${middle})"`, y.title));
  lines.forEach((line, i) => {
    const colour = COLOURS[i % COLOURS.length] ?? COLOURS[0];
    const path = line.points
      .map(([a, b], n) => `${n === 0 ? 'M' : 'L'}${px(a).toFixed(1)} ${py(b).toFixed(1)}`)
      .join('');
    const dash = line.dashed === true ? ' stroke-dasharray="5 4"' : '';
    out.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`);
    const at = top + 10 + i * 16;
    out.push(`<path d="M${left + 12} ${at}h22" stroke="${colour}" stroke-width="2"${dash}/>`);
    out.push(text(`x="${left + 40}" y="${at + 4}"`, line.name));
  });
  out.push('</svg>');
  return `${out.join('\n')}\n`;
}

/** The terminal of `carpio monitor`: its own page of the screen, keys, and everything put back at the end. */

import { painter } from '../text.ts';
import type { FeedTarget } from './feed-client.ts';
import { FeedClient } from './feed-client.ts';
import { emptyView, renderView, takeBreak, takeFrame } from './view.ts';

const ESC = '\x1b[';
/** How often the ages on the screen go on, ms. */
const REFRESH_MS = 500;
/** Frames that come together are painted together, ms. */
const PAINT_MS = 40;
/** q, and what Ctrl-C and Ctrl-D send in raw mode. */
const QUIT = ['q', 'Q', '\x03', '\x04'];

/** Runs until q, Ctrl-C or the end of the input. */
export async function showScreen(target: FeedTarget, colour: boolean): Promise<void> {
  const { stdin, stdout } = process;
  const view = emptyView(Date.now());
  const draw = (): void => {
    const size = { rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 };
    const lines = renderView(view, target.url, Date.now(), size, painter(colour));
    stdout.write(`${ESC}H${lines.map((line) => `${line}${ESC}K`).join('\r\n')}${ESC}J`);
  };
  let soon: NodeJS.Timeout | null = null;
  const paint = (): void => {
    soon ??= setTimeout(() => {
      soon = null;
      draw();
    }, PAINT_MS);
  };
  stdin.setRawMode?.(true);
  stdin.setEncoding('utf8').resume();
  stdout.write(`${ESC}?1049h${ESC}?25l`);
  const client = new FeedClient(target, {
    frame: (frame) => {
      takeFrame(view, frame, Date.now());
      paint();
    },
    broken: (reason) => {
      takeBreak(view, reason, Date.now());
      paint();
    },
  });
  const timer = setInterval(draw, REFRESH_MS);
  stdout.on('resize', paint);
  try {
    await new Promise<void>((quit) => {
      stdin.on('data', (keys: string) => {
        if (QUIT.some((key) => keys.includes(key))) quit();
      });
      stdin.on('end', quit);
      process.on('SIGTERM', quit).on('SIGINT', quit);
    });
  } finally {
    client.close();
    clearInterval(timer);
    if (soon !== null) clearTimeout(soon);
    stdout.off('resize', paint);
    stdout.write(`${ESC}?25h${ESC}?1049l`);
    stdin.setRawMode?.(false);
    stdin.pause();
  }
}

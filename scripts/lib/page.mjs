// Builds the feed's page: one HTML text with its style and script inside, so that the binary needs no file beside it.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, transform } from 'esbuild';

const TARGET = ['chrome111', 'firefox113', 'safari16.4']; // the first with CSS color-mix

/**
 * @param {string} root the project's folder
 * @returns {Promise<string>} the page; also written to build/page.html
 */
export async function buildPage(root) {
  const folder = join(root, 'src', 'feed', 'page');
  const [html, css, script] = await Promise.all([
    readFile(join(folder, 'index.html'), 'utf8'),
    buildStyle(join(folder, 'style.css')),
    buildScript(join(folder, 'main.ts')),
  ]);
  const page = put(put(html, 'style', css), 'script', script);
  await mkdir(join(root, 'build'), { recursive: true });
  await writeFile(join(root, 'build', 'page.html'), page);
  return page;
}

async function buildStyle(file) {
  const { code } = await transform(await readFile(file, 'utf8'), { loader: 'css', minify: true, target: TARGET });
  return code.trim();
}

async function buildScript(file) {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: TARGET,
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
  });
  return outputFiles[0].text.trim();
}

/** esbuild writes `</script` and `</style` inside code so that they end nothing here. */
function put(html, tag, content) {
  const place = `<!--${tag}-->`;
  if (html.split(place).length !== 2) throw new Error(`src/feed/page/index.html: expected ${place} once`);
  return html.replace(place, () => `<${tag}>${content}</${tag}>`);
}

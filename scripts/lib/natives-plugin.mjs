/**
 * esbuild plugin: puts the JavaScript of koffi and raw-socket into the bundle and leaves their .node files outside.
 *
 * How the two find their native part by themselves, and what becomes of it:
 *
 * - koffi: index.cjs -> src/koffi/index.cjs -> src/koffi/src/static.cjs, which tries
 *   `require('@koromix/koffi-OS-ARCH')` for every platform inside try/catch; that package's index.js requires
 *   ./linux_ARCH/koffi.node (glibc) or ./musl_ARCH/koffi.node. Here the package of the target becomes
 *   `globalThis.__carpioNative('koffi.node')`; all others become empty modules that throw, as a missing package would.
 * - raw-socket: index.js requires ./build/Release/raw.node; it becomes `globalThis.__carpioNative('raw.node')`.
 *   Its index.js also assigns an undeclared variable, which a bundle in strict mode would not survive; the
 *   plugin declares it.
 *
 * The hook itself is in src/kernel/natives.ts. The bundle must install it (`Object.defineProperty` at import of that
 * file) before either package is first used, which `loadKoffi` and `loadRawSocket` guarantee.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const NAMESPACE = 'carpio-native';

/**
 * @param {{ arch: 'x64' | 'arm64' }} options the machine the bundle is for (the bundle itself is the same for both but
 *   for the name of koffi's platform package)
 * @returns {import('esbuild').Plugin}
 */
export function nativesPlugin({ arch }) {
  return {
    name: 'carpio-natives',
    setup(build) {
      build.onResolve({ filter: /^@koromix\/koffi-/ }, ({ path }) => ({
        namespace: NAMESPACE,
        path: path === `@koromix/koffi-linux-${arch}` ? 'koffi.node' : 'other-platform',
      }));
      build.onResolve({ filter: /(^|\/)raw\.node$/ }, () => ({ namespace: NAMESPACE, path: 'raw.node' }));
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path }) => ({
        loader: 'js',
        contents:
          path === 'other-platform'
            ? `throw new Error('built for another platform');`
            : `module.exports = globalThis.__carpioNative(${JSON.stringify(path)});`,
      }));
      build.onLoad({ filter: /[\\/]raw-socket[\\/]index\.js$/ }, async ({ path }) => ({
        loader: 'js',
        contents: `var key;\n${await readFile(path, 'utf8')}`,
      }));
    },
  };
}

/**
 * The .node files to put beside the bundle or into the executable, by the name the hook asks for.
 * @param {{ arch: 'x64' | 'arm64', root: string, raw?: string }} options `root`: directory of node_modules' parent;
 *   `raw`: where
 *   raw.node for that machine was built (default: node-gyp's place, which only fits the machine it was built on)
 * @returns {Record<'koffi.node' | 'raw.node', string>}
 */
export function nativeFiles({ arch, root, raw }) {
  const modules = join(root, 'node_modules');
  return {
    'koffi.node': join(modules, '@koromix', `koffi-linux-${arch}`, `linux_${arch}`, 'koffi.node'),
    'raw.node': raw ?? join(modules, 'raw-socket', 'build', 'Release', 'raw.node'),
  };
}

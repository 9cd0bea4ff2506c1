import { BUILD, VERSION } from '../contract/version.ts';
import { type Command, EXIT } from './command.ts';

function versionFacts() {
  return {
    version: VERSION,
    commit: BUILD?.commit ?? null,
    date: BUILD?.date ?? null,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    wasm: BUILD?.wasm ?? null,
  };
}

export const command: Command = {
  name: 'version',
  positionals: [],
  options: [{ name: 'json', help: 'print it as JSON' }],
  details: `
Version, commit, runtime, and the SHA-256 of the WebAssembly module. What is not known (when run from source) is "-", in JSON
null.`,
  async run(args, io) {
    const facts = versionFacts();
    if (args.options.json === true) await io.out(`${JSON.stringify(facts, null, 2)}\n`);
    else {
      const { version, commit, date, node, platform, wasm } = facts;
      const lines = [
        `carpio ${version}`,
        `commit ${commit ?? '-'} ${date ?? ''}`,
        `node ${node} ${platform}`,
        `wasm ${wasm ?? '-'}`,
      ];
      await io.out(lines.map((line) => `${line.trimEnd()}\n`).join(''));
    }
    return EXIT.done;
  },
};

/** What an admin put on a FAT partition: the files that become the box's, as text that Linux programs can read. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const REPORT = 'carpio-report.txt';
/** Any of them makes a partition a source of settings; their neighbours (rules, keys, certificates) come along. */
const HEADS = ['carpio.toml', 'carpio-host.toml', 'authorized_keys'];
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const LEFT_OUT = /^(readme|carpio-report|factory-reset|.*example|system volume information)/i;
const MAX_FILES = 64;
const MAX_BYTES = 1 << 20;

export interface StickFiles {
  files: Map<string, Buffer>;
  /** What was left where it is, and why. */
  refused: string[];
}

/** Editors of other systems begin a file with a mark and end lines with two characters; keys and rules bear neither. */
export function plainText(bytes: Buffer): Buffer {
  if (bytes.includes(0)) return bytes;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return Buffer.from(text.replace(/\r\n/g, '\n'));
  } catch {
    return bytes;
  }
}

/** Never throws for what is on the stick. @throws Error when the directory can't be read */
export function readStick(directory: string): StickFiles {
  const files = new Map<string, Buffer>();
  const refused: string[] = [];
  const names = readdirSync(directory).filter((name) => !LEFT_OUT.test(name) && !name.startsWith('.'));
  if (!names.some((name) => HEADS.includes(name))) return { files, refused };
  for (const name of names.sort()) {
    try {
      const stat = statSync(join(directory, name));
      if (!stat.isFile()) continue;
      if (!NAME.test(name))
        refused.push(`${JSON.stringify(name.slice(0, 80))}: allowed are letters, digits, ".", "_", "-"`);
      else if (stat.size > MAX_BYTES) refused.push(`${name}: ${stat.size} bytes, allowed at most ${MAX_BYTES}`);
      else if (files.size >= MAX_FILES) refused.push(`${name}: more than ${MAX_FILES} files`);
      else files.set(name, plainText(readFileSync(join(directory, name))));
    } catch (error) {
      refused.push(`${name}: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}`);
    }
  }
  return { files, refused };
}

/**
 * The name of the file that asks for a factory reset ("factory-reset", also with an ending that an editor added); null:
 * none.
 */
export function resetFile(directory: string): string | null {
  const asks = (name: string) => /^factory-reset(\.txt)?$/i.test(name);
  return readdirSync(directory).find(asks) ?? null;
}

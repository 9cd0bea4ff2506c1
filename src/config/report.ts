/**
 * Collects what is wrong (errors) and what is odd but allowed (warnings) while a configuration is checked.
 */

import { type ConfigError, formatKey } from './problem.ts';
import type { KeyPath, TomlLines } from './toml-lines.ts';

/**
 * A file with a hundred mistakes is mended from the top anyway; the bound keeps a hostile file from making pages of
 * text.
 */
const MAX_ERRORS = 100;

export class Report {
  readonly errors: ConfigError[] = [];
  readonly warnings: ConfigError[] = [];
  readonly #file: string;
  readonly #lines: TomlLines | null;

  constructor(file: string, lines: TomlLines | null) {
    this.#file = file;
    this.#lines = lines;
  }

  lineOf(path: KeyPath): number {
    return this.#lines?.lineOf(path) ?? 1;
  }

  error(path: KeyPath, message: string): void {
    if (this.errors.length < MAX_ERRORS) this.errors.push(this.#at(path, message));
  }

  warn(path: KeyPath, message: string): void {
    if (this.warnings.length < MAX_ERRORS) this.warnings.push(this.#at(path, message));
  }

  #at(path: KeyPath, message: string): ConfigError {
    return { file: this.#file, line: this.lineOf(path), key: formatKey(path), message };
  }
}

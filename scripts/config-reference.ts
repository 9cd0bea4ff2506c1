/** Makes the tables of docs/configuration.md anew from the schema. A test says when that has been forgotten. */
import { readFileSync, writeFileSync } from 'node:fs';
import { withTables } from './lib/config-reference.ts';

const path = new URL('../docs/configuration.md', import.meta.url);
writeFileSync(path, withTables(readFileSync(path, 'utf8')));

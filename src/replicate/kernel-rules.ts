/**
 * What a kernel holds of the rules, in a form that is the same on both boxes: devices by their role, sets in one order,
 * without counters, without what packets themselves have put into sets, without this program's own guards. Pure: the
 * input is the text of `nft -s list ruleset`.
 */
import type { TableName } from '../kernel/nft-scan.ts';
import { GUARD_COMMENT } from '../kernel/nft-text.ts';

/** The blocks `table family name { … }` of a listing. */
function tableBlocks(listing: string): Map<string, string[]> {
  const blocks = new Map<string, string[]>();
  let current: string[] | null = null;
  for (const line of listing.split('\n')) {
    const opening = /^table (\S+) (\S+) \{/.exec(line);
    if (opening !== null) {
      current = [line];
      blocks.set(`${opening[1]} ${opening[2]?.replaceAll('"', '')}`, current);
    } else if (current !== null) {
      current.push(line);
      if (line === '}') current = null;
    }
  }
  return blocks;
}

/**
 * @param tables those that the rules make; one that is not there gives a line that says so
 * @param roles device -> role, of this box's own network cards
 */
export function canonicalRules(
  listing: string,
  tables: readonly TableName[],
  roles: ReadonlyMap<string, string>,
): string[] {
  const blocks = tableBlocks(listing);
  return tables.flatMap(({ family, name }) => {
    const block = blocks.get(`${family} ${name}`);
    return block === undefined ? [`table ${family} ${name} is not there`] : sortedParts(canonicalBlock(block, roles));
  });
}

/**
 * Chains, sets and counters by their name: the kernel lists them in the order in which they were made, which is another
 * one when a reload has added to a table that was there. The order of rules in a chain stays.
 */
function sortedParts(block: readonly string[]): string[] {
  const parts: string[][] = [];
  for (const line of block.slice(1, -1)) {
    if (/^\t[^\t}]/.test(line) || parts.length === 0) parts.push([line]);
    else parts.at(-1)?.push(line);
  }
  const byName = (a: readonly string[], b: readonly string[]): number => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1);
  return [...block.slice(0, 1), ...parts.sort(byName).flat(), ...block.slice(-1)];
}

const GUARD = `comment "${GUARD_COMMENT}"`;

function canonicalBlock(block: readonly string[], roles: ReadonlyMap<string, string>): string[] {
  const out: string[] = [];
  let dynamic = false;
  for (const line of joined(block)) {
    const text = line.trim();
    if (text === '' || text.endsWith(GUARD)) continue;
    if (/^(set|map) /.test(text)) dynamic = false;
    if (/^flags .*\b(dynamic|timeout)\b/.test(text)) dynamic = true;
    if (dynamic && text.startsWith('elements = ')) continue;
    const named = text.replaceAll(/"([^"\\]*)"/g, (whole, device: string) => {
      const role = roles.get(device);
      return role === undefined ? whole : `"<${role}>"`;
    });
    const indent = /^\t*/.exec(line)?.[0] ?? '';
    out.push(indent + named.replaceAll(/\{ ([^{}]*) \}/g, (_all, inside: string) => `{ ${inOrder(inside)} }`));
  }
  return out;
}

/** Elements of a set are written over several lines: until the brace closes it is one. */
function joined(block: readonly string[]): string[] {
  const out: string[] = [];
  let open: string | null = null;
  for (const line of block) {
    if (open !== null) {
      open += ` ${line.trim()}`;
      if (line.trimEnd().endsWith('}')) {
        out.push(open);
        open = null;
      }
    } else if (/^\s*elements = \{/.test(line) && !line.trimEnd().endsWith('}')) open = line;
    else out.push(line);
  }
  return open === null ? out : [...out, open];
}

/** The kernel lists elements by value or by its own hash; a device's name is another on every box. */
function inOrder(inside: string): string {
  return inside
    .split(/,\s+/)
    .map((element) => element.trim())
    .sort()
    .join(', ');
}

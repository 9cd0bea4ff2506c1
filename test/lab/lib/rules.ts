/** More rules for the lab's firewalls than the standard ones. */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathsOf } from '../../../scripts/lab/config.ts';
import type { FirewallName } from '../../../scripts/lab/plan.ts';

/**
 * For ConfigOptions.edit: changes the rules file, which has just been written, and leaves the configuration as it is.
 * @param more tables put at the end
 * @param nat a line for the postrouting chain
 */
export function addRules(more: string, nat = ''): (text: string, node: FirewallName) => string {
  return (text, node) => {
    const { rules } = pathsOf(node);
    const old = readFileSync(rules, 'utf8');
    const postrouting = 'type nat hook postrouting priority srcnat; policy accept;\n';
    writeFileSync(rules, old.replace(postrouting, `${postrouting}    ${nat}\n`) + more);
    return text;
  };
}

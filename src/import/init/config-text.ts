/** The commented carpio.toml that `carpio init` writes. Pure. */

import { tomlString } from '../toml-text.ts';
import type { Plan } from './plan.ts';

interface Places {
  rules: string;
  password: string;
  /** `null`: there is no key yet. */
  key: string | null;
}

const list = (items: readonly string[]) => `[${items.map(tomlString).join(', ')}]`;

function vipText(vhid: number, role: string, addresses: readonly string[], plan: Plan, places: Places): string {
  return `[[vip]]
vhid          = ${vhid}              # the same on both boxes; also the end of the virtual MAC address
interface     = "${role}"
addresses     = ${list(addresses)}
password_file = ${tomlString(places.password)}
advbase       = 1              # s between adverts, together with advskew/256 s
advskew       = ${String(plan.advskew).padEnd(14)} # the lower box is master: 0 here, 100 on the other, or the other way round
`;
}

function syncText(plan: Plan, places: Places): string {
  const key =
    places.key === null
      ? `# key_file  = "/etc/carpio/pair.key"   # carpio pair makes it and brings it to the other box`
      : `key_file  = ${tomlString(places.key)}`;
  const peer =
    plan.peer === null
      ? '# peer      = "10.99.0.2"              # the other box; left out: found by multicast'
      : `peer      = ${tomlString(plan.peer)}`;
  const body = `[sync]\ninterface = "${plan.sync === null ? 'lan' : 'sync'}"\n${peer}\n${key}\n`;
  if (plan.sync !== null) return `# Connections are mirrored to the other box over this link.\n${body}`;
  if (places.key !== null)
    return `# There is no cable of its own, so the mirrored connections cross the inner network, sealed with the key.\n${body}`;
  const off = body.trimEnd().replace(/^(?!#)/gm, '# ');
  return `# No state sync yet: there is no cable of its own, and without a key everybody on the inner network could read and change\n# the mirrored connections. Make a key and take the "# " away, or a take-over ends all connections.\n${off}\n`;
}

export function configText(plan: Plan, places: Places): string {
  const sync = plan.sync === null ? '' : `sync = ${tomlString(plan.sync)}\n`;
  return `# Made by carpio init. Every key: docs/configuration.md. After a change: carpio check, then reload (SIGHUP).
# The other box has the same file with its own name, devices, advskew and peer.

[node]
name = ${tomlString(plan.name)}

[interfaces]                   # roles; the rest of this file and the rules name these, never devices
wan  = ${tomlString(plan.wan)}
lan  = ${tomlString(plan.lan)}
${sync}
[carp]
preempt = true                 # a better box takes over again when its states are proven equal

${vipText(1, 'wan', plan.wanVips, plan, places)}
${vipText(2, 'lan', plan.lanVips, plan, places)}
# The links of wan and lan are watched without asking. What else lowers this box's standing:
# [[track]]
# kind = "script"              # exit code other than 0: trouble
# path = "/etc/carpio/can-reach-internet"

${syncText(plan, places)}
[firewall]
rules = ${tomlString(places.rules)}

[feed]
listen = ["127.0.0.1:8180"]    # page, WebSocket, /status, /metrics; only from this box
`;
}

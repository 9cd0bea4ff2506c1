/** One run as its seed draws it: the boxes, their vhids, and what each box is configured with. */

import type { ResolvedVip } from '../../../src/config/resolve.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { Config } from '../../../src/config/types.ts';
import { parseVhidKey, type VhidKey } from '../../../src/contract/vhid-key.ts';
import type { LinkInfo } from '../../../src/kernel/links.ts';
import { addressBytes } from '../../../src/net/ip.ts';
import type { Random } from './calendar.ts';

export const ROLES = ['lan', 'wan'] as const;
export const SYNC = 'sync';

/** Two vhids that belong together: the clients' gateway and the address that their connections get. */
export interface Couple {
  lan: VhidKey;
  wan: VhidKey;
  wanAddress: string;
  /** The box that shall lead. */
  lead: number;
}

export interface Plan {
  seed: number;
  boxes: number;
  couples: Couple[];
  advbase: number;
  preempt: boolean;
  /** Sync of states: pairs only. */
  sync: boolean;
  key: boolean;
  syncWhen: 'all' | 'answered' | 'assured';
  flows: number;
  /** Clock error of each box, parts of a million. */
  drift: number[];
  /** What each box writes on the wire: as this version, without what came later, or with what will come. */
  version: ('this' | 'older' | 'newer')[];
  v6: boolean;
}

export function drawPlan(seed: number, random: Random, boxes: number): Plan {
  const sync = boxes === 2 && random() < 0.95;
  const couples: Couple[] = [];
  const count = 1 + Math.floor(random() * 2);
  const apart = random() < 0.25;
  for (let i = 0; i < count; i++) {
    const vhid = 1 + i * 2;
    couples.push({
      lan: `lan/${vhid}`,
      wan: `wan/${vhid + 1}`,
      wanAddress: `203.0.113.${200 + i}`,
      lead: apart ? i % boxes : 0,
    });
  }
  return {
    seed,
    boxes,
    couples,
    advbase: 1,
    preempt: random() < 0.8,
    sync,
    key: sync && random() < 0.85,
    syncWhen: random() < 0.75 ? 'answered' : random() < 0.5 ? 'all' : 'assured',
    flows: 20 + Math.floor(random() * 80),
    drift: Array.from({ length: boxes }, () => Math.floor((random() - 0.5) * 1000)),
    version: Array.from({ length: boxes }, () => (random() < 0.8 ? 'this' : random() < 0.5 ? 'older' : 'newer')),
    v6: random() < 0.3,
  };
}

export function ownAddress(role: string, box: number): string {
  const net = role === 'lan' ? '10.0.0' : role === 'wan' ? '203.0.113' : '10.99.0';
  return `${net}.${box + 2}`;
}

export function linkLocal(role: string, box: number): string {
  return `fe80::${role === 'lan' ? 1 : 2}:${box + 2}`;
}

/** Skews keep an order among all boxes; whoever leads a couple has 0. */
function skewOf(plan: Plan, couple: Couple, box: number): number {
  return ((box - couple.lead + plan.boxes) % plan.boxes) * 60;
}

export function vipsOf(plan: Plan, box: number): ResolvedVip[] {
  return plan.couples.flatMap((couple) =>
    [couple.lan, couple.wan].map((key) => {
      const { interface: role, vhid } = parseVhidKey(key) ?? { interface: '', vhid: 0 };
      const v4 = role === 'lan' ? `10.0.0.${200 + vhid}/24` : `${couple.wanAddress}/24`;
      return {
        vhid,
        interface: role,
        addresses: plan.v6 ? [v4, `2001:db8:${role === 'lan' ? 1 : 2}::${vhid}/64`] : [v4],
        password: new Secret(Buffer.from('simulated')),
        password_file: null,
        advbase: plan.advbase,
        advskew: skewOf(plan, couple, box),
        mac: 'virtual',
        peers: [],
        device: `${role}0`,
        virtual_device: `carp${vhid}-${role}`,
      } as unknown as ResolvedVip;
    }),
  );
}

export function configOf(plan: Plan, box: number, vips: readonly ResolvedVip[]): Config {
  const peer = 1 - box;
  const sync = {
    interface: SYNC,
    peer: ownAddress(SYNC, peer),
    dialect: 'carpio',
    key: plan.key ? new Secret(Buffer.alloc(32, 9)) : null,
    sync_when: plan.syncWhen,
    ignore: [],
    accept: [],
    max_states: 4096,
    mtu: 1500,
    event_buffer: 1 << 20,
  };
  return {
    node: { name: `fw-${'abcd'[box]}`, state_dir: '', control: '' },
    interfaces: { lan: 'lan0', wan: 'wan0', sync: 'sync0' },
    carp: { preempt: plan.preempt, log: 1 },
    vip: vips,
    track: [],
    sync: plan.sync ? sync : null,
  } as unknown as Config;
}

export function linksOf(plan: Plan, box: number, down: (role: string) => boolean): LinkInfo[] {
  return [...ROLES, SYNC].map((role, i) => {
    const texts = role === SYNC || !plan.v6 ? [] : [linkLocal(role, box)];
    const addresses = [ownAddress(role, box), ...texts].map((address) => ({
      ...{ index: i + 2, address, bytes: addressBytes(address) ?? Buffer.alloc(4), prefix: 24, flags: 0 },
      ...{ tentative: false, ours: false },
    }));
    return {
      ...{ index: i + 2, name: `${role}0`, up: true, carrier: !down(role), operstate: 'up', flags: 0 },
      ...{ mac: `02:00:00:00:0${box}:0${i}`, kind: '', macvlanMode: null, addresses },
    } as unknown as LinkInfo;
  });
}

/** config.xml of pfSense or OPNsense to carpio.toml and a rules file. Pure. */

import { Draft } from '../draft.ts';
import { Ledger } from '../ledger.ts';
import type { ImportOptions, ReadResult } from '../result.ts';
import { isNodeName } from '../roles.ts';
import { readAliases } from './aliases.ts';
import { FilterReader } from './filter.ts';
import { readForwards } from './forward.ts';
import { readHaSync } from './hasync.ts';
import { readInterfaces } from './interfaces.ts';
import { NatChains } from './nat.ts';
import { readOneToOnes } from './onetoone.ts';
import { readOutbound } from './outbound.ts';
import { rulesText } from './rules-text.ts';
import { OPNSENSE_SECTIONS, SECTIONS, SYSTEM_REST } from './sections.ts';
import { readVips } from './vips.ts';
import { isOn, World } from './world.ts';
import { at, child, readXml, type XmlElement } from './xml.ts';

function readSystem(root: XmlElement, world: World, named: boolean): void {
  const system = child(root, 'system');
  const host = child(system, 'hostname');
  if (system && host) {
    const good = isNodeName(host.text);
    if (good && !named) world.draft.name = host.text;
    world.ledger.note(
      good ? 'translated' : 'left out',
      host,
      good ? '[node] name' : 'not a name that a node can have',
      `hostname ${host.text}`,
    );
  }
  if (system) world.ledger.rest('left out', system, SYSTEM_REST);
}

/** The old firewall lets the inner side reach its pages whatever the rules say; here that is ssh. */
function antiLockout(root: XmlElement, world: World): string | null {
  const inner = world.interfaces.get('lan');
  const off = at(root, 'system', 'webgui', 'noantilockout');
  if (inner === undefined || (off !== null && isOn(off))) return null;
  world.ledger.advise(
    `anti-lockout: the rules let ssh from ${inner.role} reach this box; the old firewall let its web pages in`,
  );
  return inner.role;
}

/** The parts of <OPNsense><Firewall>, two levels of them. */
function firewallParts(root: XmlElement): XmlElement[] {
  const parts = at(root, 'OPNsense', 'Firewall')?.children ?? [];
  return [...parts, ...parts.flatMap((part) => part.children)];
}

/** Sections that nobody has taken, each with the reason. */
function readRest(root: XmlElement, world: World): void {
  const { ledger } = world;
  const taken = new Set([
    'system',
    'interfaces',
    'ifgroups',
    'virtualip',
    'hasync',
    'aliases',
    'filter',
    'nat',
    'OPNsense',
  ]);
  const empty = (item: XmlElement) => item.children.length === 0 && item.text === '';
  const section = (item: XmlElement, table: typeof SECTIONS) => {
    const [outcome, why] = (Object.hasOwn(table, item.name) ? table[item.name] : undefined) ?? [
      'left out',
      'not known to the importer',
    ];
    if (empty(item)) ledger.whole('not needed', item, 'empty', `section ${item.name}`);
    else ledger.whole(outcome, item, why, `section ${item.name}`);
  };
  for (const item of root.children) {
    if (!taken.has(item.name)) section(item, SECTIONS);
    else if (empty(item)) ledger.whole('not needed', item, 'empty', `section ${item.name}`);
  }
  for (const item of firewallParts(root)) {
    if (empty(item)) ledger.whole('not needed', item, 'empty', `firewall: ${item.name}`);
    else if (item.name === 'geoip') ledger.whole('left out', item, 'countries by a database', 'aliases: geoip');
  }
  for (const item of child(root, 'OPNsense')?.children ?? [])
    if (item.name !== 'Firewall') section(item, OPNSENSE_SECTIONS);
}

function translate(root: XmlElement, world: World, named: boolean): string {
  readInterfaces(root, world);
  readVips(root, world);
  readAliases(root, world);
  readHaSync(root, world);
  const filter = new FilterReader(world);
  filter.read(root);
  const nat = new NatChains();
  readForwards(root, world, nat);
  readOneToOnes(root, world, nat);
  readOutbound(root, world, nat);
  const lockout = antiLockout(root, world);
  readSystem(root, world, named);
  readRest(root, world);
  world.ledger.sweep(root);
  return rulesText(world, filter.chains, nat, lockout);
}

function advise({ draft, ledger, interfaces }: World): void {
  if (draft.vips.length === 0)
    ledger.advise('the file has no CARP address that could be used: add a [[vip]] for each shared address');
  ledger.advise(
    'give each box its own addresses, routes and VLANs in its system; Carpio sets the virtual addresses only',
  );
  if ([...interfaces.values()].some((one) => one.dynamic.length > 0)) {
    ledger.advise(
      'an interface gets its address from outside (DHCP, PPPoE, track6): a pair needs fixed addresses there',
    );
  }
  if (draft.sync === null) ledger.advise('there is no [sync]: without it a take-over ends all connections');
}

/** Reads config.xml of either product. Never throws. */
export function readPfsense(text: string, options: ImportOptions): ReadResult {
  const read = readXml(text);
  if (!read.ok) return read;
  const { root } = read;
  if (root.name !== 'pfsense' && root.name !== 'opnsense' && root.name !== 'm0n0wall') {
    return {
      ok: false,
      line: root.line,
      error: `found <${root.name.slice(0, 60)}>, expected <pfsense> or <opnsense>: a config.xml of one of these`,
    };
  }
  const draft = new Draft(options.devices);
  if (options.name !== undefined) draft.name = options.name;
  draft.rules = true;
  const world = new World(draft, new Ledger());
  const nft = translate(root, world, options.name !== undefined);
  advise(world);
  return { ok: true, imported: { draft, nft, ledger: world.ledger } };
}

/** Interfaces of config.xml to roles. */

import { isDevice, roleFrom } from '../roles.ts';
import { INTERFACE_REST } from './sections.ts';
import { cidrOf, isOn, textOf, type World } from './world.ts';
import { child, childrenOf, type XmlElement } from './xml.ts';

const FROM_OUTSIDE = /^(dhcp|dhcp6|pppoe|pptp|l2tp|ppp|slaac|6rd|6to4|track6|idassoc6)$/;

function networksOf(item: XmlElement) {
  const v4 = cidrOf(textOf(child(item, 'ipaddr')), textOf(child(item, 'subnet')));
  const v6 = cidrOf(textOf(child(item, 'ipaddrv6')), textOf(child(item, 'subnetv6')));
  return [v4, v6].filter((cidr) => cidr !== null);
}

/** An address that is neither empty nor a number comes from elsewhere. */
function dynamicOf(item: XmlElement): (4 | 6)[] {
  const comes = (name: string) => !['', 'none'].includes(textOf(child(item, name)));
  const has = (family: 4 | 6) => networksOf(item).some((net) => net.family === family);
  return [...(comes('ipaddr') && !has(4) ? [4 as const] : []), ...(comes('ipaddrv6') && !has(6) ? [6 as const] : [])];
}

function isOutside(item: XmlElement): boolean {
  const gateways = ['gateway', 'gatewayv6'].map((name) => textOf(child(item, name)));
  const address = textOf(child(item, 'ipaddr'));
  return (
    gateways.some((name) => name !== '' && name !== 'none') ||
    (FROM_OUTSIDE.test(address) && !/^track6|idassoc6/.test(address))
  );
}

function readInterface(item: XmlElement, world: World, fallbackDevice: string): void {
  const { draft, ledger } = world;
  const old = textOf(child(item, 'if'));
  const label = textOf(child(item, 'descr'));
  const taken = new Set(draft.interfaces.keys());
  const wanted = label === '' ? item.name : label;
  const role =
    taken.has(item.name) || draft.givenDevice(item.name) === null ? roleFrom(wanted, taken, 'if') : item.name;
  const given = draft.givenDevice(role);
  const device = given ?? (isDevice(old) ? old : fallbackDevice);
  const what = `interface ${item.name}${label ? ` (${label})` : ''}`;
  const flag = child(item, 'enable');
  if (flag === null ? item.name !== 'wan' && item.name !== 'lan' : !isOn(flag)) {
    world.disabled.add(item.name);
    ledger.whole('not needed', item, 'it was disabled, so it is no role', what);
    return;
  }
  const twin = [...draft.interfaces].find(([, known]) => known.device === device);
  if (twin) {
    ledger.whole('left out', item, `its device ${device} is already that of ${twin[0]}`, what);
    return;
  }
  draft.interfaces.set(role, {
    device,
    note: given ? `was ${old}` : `${old || 'no device'} on the old box: put this box's device here`,
  });
  ledger.note(
    given ? 'translated' : 'approximated',
    item,
    `[interfaces] ${role} = "${device}"${given ? '' : ': put the device of the Linux box there, or use --devices'}`,
    what,
  );
  world.interfaces.set(item.name, {
    key: item.name,
    role,
    networks: networksOf(item),
    dynamic: dynamicOf(item),
    outside: isOutside(item),
    blockPrivate: isOn(child(item, 'blockpriv')),
    blockBogons: isOn(child(item, 'blockbogons')),
  });
  for (const name of ['if', 'descr', 'enable']) ledger.use(...childrenOf(item, name).slice(0, 1));
  noteOwn(item, world);
}

function noteOwn(item: XmlElement, { ledger }: World): void {
  for (const name of ['blockpriv', 'blockbogons']) {
    const flag = child(item, name);
    if (!flag) continue;
    if (!isOn(flag)) ledger.note('not needed', flag, 'off', `${item.name}: ${name}`);
    else if (name === 'blockpriv') ledger.note('translated', flag, 'a rule of its own', `${item.name}: ${name}`);
    else
      ledger.note(
        'approximated',
        flag,
        'a fixed list of networks that never come from outside; the daily list is not loaded',
        `${item.name}: ${name}`,
      );
  }
  ledger.rest('left out', item, INTERFACE_REST, `interface ${item.name}`);
}

/** Groups: `<ifgroups><ifgroupentry><ifname>…<members>lan opt1`. */
function readGroups(root: XmlElement, world: World): void {
  const groups = child(root, 'ifgroups');
  for (const item of childrenOf(groups, 'ifgroupentry')) {
    const name = textOf(child(item, 'ifname'));
    const members = textOf(child(item, 'members'))
      .split(/[\s,]+/)
      .filter((key) => key !== '');
    const known = members.filter((key) => world.interfaces.has(key));
    if (name === '' || known.length === 0) {
      world.ledger.whole('left out', item, 'no member is a role', `interface group ${name}`);
      continue;
    }
    world.groups.set(name, known);
    const sequence = Number(textOf(child(item, 'sequence')));
    if (Number.isInteger(sequence)) world.groupSequence.set(name, sequence);
    for (const one of ['ifname', 'members', 'descr', 'sequence', 'nogroup'])
      world.ledger.use(...childrenOf(item, one).slice(0, 1));
    const all = known.length === members.length;
    world.ledger.note(
      all ? 'translated' : 'approximated',
      item,
      `rules for it are rules for ${known.join(', ')}`,
      `interface group ${name}`,
    );
  }
}

export function readInterfaces(root: XmlElement, world: World): void {
  const section = child(root, 'interfaces');
  (section?.children ?? []).forEach((item, index) => {
    const internal = item.name === 'lo0' || textOf(child(item, 'internal_dynamic')) === '1';
    if (internal) world.ledger.whole('not needed', item, 'made by the old firewall itself', `interface ${item.name}`);
    else if (item.children.length === 0)
      world.ledger.whole('left out', item, 'it has no device', `interface ${item.name}`);
    else if (world.interfaces.has(item.name))
      world.ledger.whole('left out', item, 'there are two of that name', `interface ${item.name}`);
    else readInterface(item, world, `eth${index}`);
  });
  readGroups(root, world);
  if (world.draft.interfaces.size > 0) return;
  world.draft.interfaces.set('wan', { device: 'eth0', note: 'a guess: the file names no interface' });
}

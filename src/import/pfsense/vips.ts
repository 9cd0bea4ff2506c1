/** <virtualip> to [[vip]]. Both dialects: pfSense hangs an alias on a CARP address by its id, OPNsense by its vhid. */

import { type Cidr, parseAddress } from '../../net/cidr.ts';
import { type DraftVip, MAX_PASSWORD } from '../draft.ts';
import { cidrOf, textOf, type World } from './world.ts';
import { child, childrenOf, type XmlElement } from './xml.ts';

/** What makes a vip. */
const READ = ['mode', 'interface', 'vhid', 'advbase', 'advskew', 'password', 'subnet', 'subnet_bits'];
/** Read with the vip; what they say is not for Carpio. */
const BOOKKEEPING = ['uniqid', 'type', 'descr', 'range', 'noexpand', 'nobind', 'gateway'];

const label = (item: XmlElement) => {
  const address = textOf(child(item, 'subnet'));
  const name = textOf(child(item, 'descr'));
  return `virtual IP ${address}${name ? ` (${name})` : ''}`;
};

function number(item: XmlElement, name: string, standard: number): number {
  const text = textOf(child(item, name));
  return text === '' ? standard : /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
}

const inRange = (value: number, max: number) => value >= 0 && value <= max;

class Vips {
  readonly #world: World;
  /** pfSense's id of a CARP address -> its vhid section. */
  readonly #byId = new Map<string, DraftVip>();

  constructor(world: World) {
    this.#world = world;
  }

  carp(item: XmlElement): void {
    const { draft, ledger } = this.#world;
    const vip = this.#read(item);
    const cidr = this.#address(item);
    if (typeof vip === 'string' || !cidr) {
      ledger.whole('left out', item, typeof vip === 'string' ? vip : 'its address is not one', label(item));
      return;
    }
    const same = draft.vips.find((one) => one.vhid === vip.vhid && one.role === vip.role);
    if (same) this.#join(item, same, cidr, vip);
    else this.#add(item, vip, cidr);
  }

  /** A vhid without its address, or why it cannot be one. */
  #read(item: XmlElement): DraftVip | string {
    const key = textOf(child(item, 'interface'));
    const role = this.#world.interfaces.get(key)?.role;
    if (role === undefined) return `its interface ${key} is not a role`;
    const vhid = number(item, 'vhid', Number.NaN);
    if (Number.isNaN(vhid)) return 'it has no vhid';
    const advbase = number(item, 'advbase', 1);
    const advskew = number(item, 'advskew', 0);
    if (!inRange(advbase, 254) || !inRange(advskew, 254)) return 'advbase or advskew is not in 0..254';
    const password = textOf(child(item, 'password'));
    if (Buffer.byteLength(password) > MAX_PASSWORD) return `its password is longer than ${MAX_PASSWORD} bytes`;
    if (password.includes('\0')) return 'its password holds a NUL byte';
    const notes = [label(item)];
    return { vhid, role, addresses: [], password, advbase, advskew, mac: 'virtual', peers: [], notes };
  }

  #add(item: XmlElement, vip: DraftVip, cidr: Cidr): void {
    const { draft, ledger } = this.#world;
    const trouble = draft.refusesVip(vip.vhid, vip.role) ?? draft.addAddress(vip, cidr);
    if (trouble) {
      ledger.whole('left out', item, trouble, label(item));
      return;
    }
    draft.vips.push(vip);
    this.#byId.set(textOf(child(item, 'uniqid')), vip);
    const empty = vip.password === '' ? '; it has no password: give it one' : '';
    const detail = `[[vip]] vhid ${vip.vhid} on ${vip.role}${empty}`;
    ledger.note(empty ? 'approximated' : 'translated', item, detail, label(item));
    ledger.use(...this.#children(item, ...READ, ...BOOKKEEPING));
    this.#peers(item, vip);
  }

  #children(item: XmlElement, ...names: string[]): XmlElement[] {
    return names.flatMap((name) => childrenOf(item, name).slice(0, 1));
  }

  #address(item: XmlElement): Cidr | null {
    return cidrOf(textOf(child(item, 'subnet')), textOf(child(item, 'subnet_bits')));
  }

  /** A second address with the same vhid on the same interface belongs to the first. */
  #join(
    item: XmlElement,
    vip: DraftVip,
    cidr: Cidr,
    own: { password: string; advbase: number; advskew: number },
  ): void {
    const { draft, ledger } = this.#world;
    const alike = own.password === vip.password && own.advbase === vip.advbase && own.advskew === vip.advskew;
    const trouble = draft.addAddress(vip, cidr);
    if (trouble) {
      ledger.whole('left out', item, trouble, label(item));
      return;
    }
    const detail = `an address of vhid ${vip.vhid} on ${vip.role}${alike ? '' : ', with the password and timers of its first'}`;
    this.#byId.set(textOf(child(item, 'uniqid')), vip);
    ledger.whole(alike ? 'translated' : 'approximated', item, detail, label(item));
  }

  #peers(item: XmlElement, vip: DraftVip): void {
    const { draft, ledger } = this.#world;
    const mode = child(item, 'carp_mode');
    const peers = this.#children(item, 'carp_peer', 'peer', 'peer6');
    const multicast = textOf(mode) === 'mcast';
    if (mode) ledger.use(mode);
    for (const one of peers) {
      if (one.text === '' || multicast) {
        ledger.note('not needed', one, 'multicast', `${label(item)}: ${one.name}`);
        continue;
      }
      const trouble = draft.addPeer(vip, one.text);
      ledger.note(
        trouble ? 'left out' : 'translated',
        one,
        trouble ?? 'peers',
        `${label(item)}: ${one.name} ${one.text}`,
      );
    }
  }

  alias(item: XmlElement): void {
    const { draft, ledger, interfaces } = this.#world;
    const refuse = (why: string) => ledger.whole('left out', item, why, label(item));
    const key = textOf(child(item, 'interface'));
    const vhid = number(item, 'vhid', Number.NaN);
    const role = interfaces.get(key)?.role;
    const byId = key.startsWith('_vip') ? this.#byId.get(key.slice(4)) : undefined;
    const vip = byId ?? draft.vips.find((one) => one.role === role && one.vhid === vhid);
    if (!vip && (key.startsWith('_vip') || !Number.isNaN(vhid))) {
      refuse('the CARP address that it hangs on is not there');
      return;
    }
    if (!vip) {
      refuse("a plain second address of one box, not shared: for the system's network configuration");
      return;
    }
    const cidr = this.#address(item);
    const trouble = cidr ? draft.addAddress(vip, cidr) : 'its address is not one';
    if (trouble) {
      refuse(trouble);
      return;
    }
    ledger.note('translated', item, `a further address of vhid ${vip.vhid} on ${vip.role}`, label(item));
    ledger.use(
      ...this.#children(
        item,
        'mode',
        'interface',
        'vhid',
        'subnet',
        'subnet_bits',
        'advbase',
        'advskew',
        'password',
        'peer',
        'peer6',
        'carp_mode',
        'carp_peer',
        ...BOOKKEEPING,
      ),
    );
  }

  settle(): void {
    const { draft, ledger } = this.#world;
    for (const vip of [...draft.vips]) {
      for (const gone of draft.settlePeers(vip))
        ledger.entries.push({
          line: 1,
          what: `vhid ${vip.vhid} on ${vip.role}: ${gone}`,
          outcome: 'left out',
          detail: 'its family has no unicast peer, or it is a virtual address used as a peer',
        });
      if (vip.addresses.length === 0) draft.vips.splice(draft.vips.indexOf(vip), 1);
    }
  }
}

/** What is not CARP's is still a virtual address there: "WAN address" does not mean it. */
function noteOther(item: XmlElement, world: World): void {
  const key = textOf(child(item, 'interface'));
  const address = textOf(child(item, 'subnet'));
  if (parseAddress(address) === null) return;
  world.otherVirtual.set(key, [...(world.otherVirtual.get(key) ?? []), address]);
}

export function readVips(root: XmlElement, world: World): void {
  const section = child(root, 'virtualip');
  const items = childrenOf(section, 'vip');
  const vips = new Vips(world);
  for (const item of items) if (textOf(child(item, 'mode')) === 'carp') vips.carp(item);
  for (const item of items) {
    const mode = textOf(child(item, 'mode'));
    if (mode !== 'carp') noteOther(item, world);
    if (mode === 'ipalias') vips.alias(item);
    else if (mode === 'proxyarp' || mode === 'other')
      world.ledger.whole('left out', item, `mode ${mode}: Carpio holds shared addresses only`, label(item));
    else if (mode !== 'carp') world.ledger.whole('left out', item, 'its mode is not known', label(item));
  }
  vips.settle();
}

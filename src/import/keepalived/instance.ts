/** One vrrp_instance to one [[vip]] (or more, where its addresses are on several devices). */

import { parseAddress, parseCidr } from '../../net/cidr.ts';
import type { Statement } from '../blocks.ts';
import { type Draft, type DraftVip, MAX_PASSWORD } from '../draft.ts';
import type { Ledger } from '../ledger.ts';
import { isDevice } from '../roles.ts';
import { carpTimers, DEFAULT_PRIORITY } from './timers.ts';
import type { TrackReader } from './track.ts';
import { INSTANCE_LEFT_OUT, INSTANCE_NOT_NEEDED } from './words.ts';

/** Of a keyword that is given twice the last one counts, as in keepalived. */
const find = (block: Statement, name: string) => block.children.findLast((one) => one.name === name) ?? null;

/** Keywords of which an instance has one. */
const SINGLE = new Set(['interface', 'virtual_router_id', 'priority', 'advert_int']);

/** keepalived compares so many bytes of auth_pass. */
const KEEPALIVED_PASSWORD = 8;

/** What may stand behind an address without changing what Carpio does. */
const ADDRESS_FLAGS = new Set(['home', '-nodad', 'mngtmpaddr', 'noprefixroute', 'autojoin', 'no_track', 'use_vmac']);
const ADDRESS_VALUES = new Set(['brd', 'broadcast', 'scope', 'label', 'preferred_lft']);

export class InstanceReader {
  readonly #draft: Draft;
  readonly #ledger: Ledger;
  readonly #tracks: TrackReader;

  constructor(draft: Draft, ledger: Ledger, tracks: TrackReader) {
    this.#draft = draft;
    this.#ledger = ledger;
    this.#tracks = tracks;
  }

  read(item: Statement): void {
    const what = item.words.join(' ');
    const refuse = (why: string) => this.#ledger.whole('left out', item, why, what);
    const device = find(item, 'interface')?.words[1] ?? '';
    if (!isDevice(device)) {
      refuse(device === '' ? 'it names no interface' : 'its interface is not a device name');
      return;
    }
    const vhid = Number(find(item, 'virtual_router_id')?.words[1] ?? Number.NaN);
    const role = this.#draft.roleOfDevice(device, 'from keepalived.conf')!;
    const other = this.#otherFamily(item, vhid, role);
    if (other) {
      this.#join(item, other, device);
      return;
    }
    const refused = this.#draft.refusesVip(vhid, role);
    if (refused) {
      refuse(Number.isNaN(vhid) ? 'it has no virtual_router_id' : refused);
      return;
    }
    const vip = this.#start(item, vhid, role);
    if (!vip) {
      refuse('its advert_int is not a time from 0.01 to 254 s');
      return;
    }
    const vips = this.#addresses(item, vip);
    if (vips.length === 0) {
      refuse('it has no virtual address that CARP could hold');
      return;
    }
    this.#ledger.note('translated', item, `[[vip]] vhid ${vhid} on ${role}`, what);
    this.#settings(item, vip, device);
    for (const one of vips) this.#finish(item, one, vip);
  }

  /**
   * VRRP has an instance for each family; CARP's vhid holds both. @returns the vhid of the other family, if that is it
   */
  #otherFamily(item: Statement, vhid: number, role: string): DraftVip | null {
    const known = this.#draft.vips.find((vip) => vip.vhid === vhid && vip.role === role);
    const own = find(item, 'virtual_ipaddress')?.children.map((one) => one.words[0] ?? '') ?? [];
    const families = new Set(own.map((text) => text.includes(':')));
    if (known === undefined || families.size !== 1) return null;
    return known.addresses.some((text) => families.has(text.includes(':'))) ? null : known;
  }

  #join(item: Statement, vip: DraftVip, device: string): void {
    const what = item.words.join(' ');
    const own = this.#start(item, vip.vhid, vip.role);
    const alike = own !== null && own.advbase === vip.advbase && own.advskew === vip.advskew;
    const vips = this.#addresses(item, vip);
    const detail = `[[vip]] vhid ${vip.vhid} on ${vip.role} holds both families${alike ? '' : ', with the timers of its first instance'}`;
    this.#ledger.note(alike ? 'translated' : 'approximated', item, detail, what);
    const { password } = vip;
    this.#settings(item, vip, device);
    vip.password = password;
    for (const one of vips) if (one !== vip) this.#finish(item, one, vip);
  }

  #start(item: Statement, vhid: number, role: string): DraftVip | null {
    const seconds = Number(find(item, 'advert_int')?.words[1] ?? 1);
    if (!(seconds >= 0.01 && seconds < 255)) return null;
    const named = Number(find(item, 'priority')?.words[1] ?? DEFAULT_PRIORITY);
    const priority = Number.isInteger(named) && named >= 1 && named <= 255 ? named : DEFAULT_PRIORITY;
    const vmac = find(item, 'use_vmac') !== null;
    const notes = [`keepalived: ${item.words.join(' ')}, priority ${priority}, advert_int ${seconds}`];
    const base = { vhid, role, addresses: [], password: '', peers: [], notes };
    return { ...base, ...carpTimers(seconds, priority), mac: vmac ? 'virtual' : 'physical' };
  }

  /** Fills `vip` and makes further ones for addresses on other devices; those that hold an address. */
  #addresses(item: Statement, vip: DraftVip): DraftVip[] {
    const vips = [vip];
    for (const name of ['virtual_ipaddress', 'virtual_ipaddress_excluded']) {
      for (const block of item.children.filter((one) => one.name === name)) {
        this.#ledger.use(block);
        for (const one of block.children) this.#address(one, name, vip, vips);
      }
    }
    return vips.filter((one) => one.addresses.length > 0);
  }

  #address(item: Statement, where: string, vip: DraftVip, vips: DraftVip[]): void {
    const [text = '', ...rest] = item.words;
    const what = `${where}: ${item.words.join(' ')}`;
    const bare = parseAddress(text);
    const cidr = bare ? { ...bare, prefix: bare.family === 4 ? 32 : 128 } : parseCidr(text);
    if (!cidr) {
      this.#ledger.whole('left out', item, 'not an address', what);
      return;
    }
    const { device, unknown } = this.#words(rest);
    if (unknown) {
      this.#ledger.whole('left out', item, `not known: ${unknown}`, what);
      return;
    }
    const target = this.#target(device, vip, vips);
    if (typeof target === 'string') {
      this.#ledger.whole('left out', item, target, what);
      return;
    }
    const trouble = this.#draft.addAddress(target, cidr);
    if (trouble) {
      this.#ledger.whole('left out', item, trouble, what);
      return;
    }
    const notes = [
      ...(target === vip ? [] : [`on ${target.role}: a [[vip]] of its own, adverts go out there too`]),
      ...(where.endsWith('excluded') ? ["in CARP every address is a part of the advert's signature"] : []),
      ...(bare ? [`/${cidr.prefix} as keepalived takes it; better the prefix of its subnet`] : []),
    ];
    this.#ledger.whole(notes.length > 0 ? 'approximated' : 'translated', item, notes.join('; '), what);
  }

  #words(rest: readonly string[]): { device: string | null; unknown: string | null } {
    let device: string | null = null;
    for (let i = 0; i < rest.length; i++) {
      const word = rest[i]!;
      if (word === 'dev') device = rest[++i] ?? '';
      else if (ADDRESS_VALUES.has(word)) i++;
      else if (!ADDRESS_FLAGS.has(word)) return { device, unknown: word };
    }
    return { device, unknown: null };
  }

  #target(device: string | null, vip: DraftVip, vips: DraftVip[]): DraftVip | string {
    if (device === null) return vip;
    const role = this.#draft.roleOfDevice(device, 'from keepalived.conf');
    if (role === null) return 'its dev is not a device name';
    const known = vips.find((one) => one.role === role);
    if (known) return known;
    const refused = this.#draft.refusesVip(vip.vhid, role);
    if (refused) return refused;
    const made = { ...vip, role, addresses: [], peers: [], notes: [...vip.notes, `its addresses with dev ${device}`] };
    vips.push(made);
    return made;
  }

  #settings(item: Statement, vip: DraftVip, device: string): void {
    for (const one of item.children) {
      const what = `${item.words.join(' ')}: ${one.words.join(' ')}`;
      const [name = '', value = ''] = one.words;
      if (SINGLE.has(name) && one !== find(item, name)) {
        this.#ledger.note('not needed', one, 'given again further down: the last one counts', what);
        continue;
      }
      if (name === 'interface') this.#ledger.note('translated', one, `interface = "${vip.role}"`, what);
      else if (name === 'virtual_router_id') this.#ledger.note('translated', one, `vhid = ${vip.vhid}`, what);
      else if (name === 'priority') this.#priority(one, value, vip, what);
      else if (name === 'advert_int') {
        const exact = Number.isInteger(Number(value));
        const detail = `advbase = ${vip.advbase}, advskew = ${vip.advskew}`;
        this.#ledger.note(exact ? 'translated' : 'approximated', one, detail, what);
      } else if (name === 'authentication') this.#authentication(one, vip, item);
      else if (name === 'unicast_peer') this.#unicast(one, vip, item);
      else if (name === 'use_vmac') this.#ledger.note('translated', one, 'mac = "virtual"', what);
      else if (name === 'use_ipvlan') this.#ledger.note('approximated', one, 'mac = "physical"', what);
      else if (name === 'nopreempt') this.#nopreempt(one, what);
      else if (name === 'track_interface') this.#tracks.interfaces(one, device);
      else if (name === 'track_script') this.#tracks.scripts(one);
      else if (INSTANCE_NOT_NEEDED[name]) this.#ledger.whole('not needed', one, INSTANCE_NOT_NEEDED[name], what);
      else if (INSTANCE_LEFT_OUT[name]) this.#ledger.whole('left out', one, INSTANCE_LEFT_OUT[name], what);
    }
    if (!find(item, 'priority')) {
      this.#ledger.note(
        'approximated',
        item,
        `advskew = ${vip.advskew}, from keepalived's default priority 100`,
        `${item.words.join(' ')}: no priority`,
      );
    }
    if (!find(item, 'authentication')) this.#noPassword(item, item);
    if (vip.mac === 'physical')
      vip.notes.push('Without use_vmac the addresses were on the NIC\'s own MAC, so: mac = "physical".');
  }

  #priority(item: Statement, value: string, vip: DraftVip, what: string): void {
    const priority = Number(value);
    if (!Number.isInteger(priority) || priority < 1 || priority > 255) {
      this.#ledger.note('left out', item, `not 1..255; advskew = ${vip.advskew} is from the default 100`, what);
      return;
    }
    const clamped = vip.advbase > 0 && (priority > 254 || 254 - priority > vip.advskew);
    const shared = clamped ? '; other priorities become the same: give the two boxes different ones' : '';
    const detail = `advskew = ${vip.advskew} (254 - priority; the lower one is master)${shared}`;
    this.#ledger.note('approximated', item, detail, what);
  }

  #nopreempt(item: Statement, what: string): void {
    this.#draft.preempt = false;
    this.#ledger.note('approximated', item, '[carp] preempt = false, for all vhids of the node', what);
  }

  /** No word of what stands here may reach the report, so its statements are named only. */
  #authentication(item: Statement, vip: DraftVip, instance: Statement): void {
    const where = `${instance.words.join(' ')}: authentication`;
    this.#ledger.use(item);
    // All on one line is one statement: auth_type PASS auth_pass 1234.
    const pairs = item.children.flatMap((one) => {
      const at = one.words.indexOf('auth_pass', 1);
      if (at < 0) return [one];
      return [
        { ...one, words: one.words.slice(0, at) },
        { ...one, name: 'auth_pass', words: one.words.slice(at) },
      ];
    });
    for (const one of pairs) {
      const what = `${where}: ${one.name}`;
      if (one.name === 'auth_type') {
        this.#ledger.note('approximated', one, 'CARP signs every advert with HMAC-SHA1 under the password', what);
      } else if (one.name === 'auth_pass') this.#password(one, vip, what);
      else this.#ledger.whole('left out', one, 'not known to the importer', what);
    }
    this.#ledger.cover(item);
    if (vip.password === '') this.#noPassword(item, instance);
  }

  #password(item: Statement, vip: DraftVip, what: string): void {
    const text = item.words.slice(1).join(' ').replaceAll('\0', '');
    const cut = Buffer.byteLength(text) > MAX_PASSWORD;
    const ascii = text.replace(/[^ -~]/g, '?');
    vip.password = cut ? ascii.slice(0, MAX_PASSWORD) : text;
    const long = Buffer.byteLength(text) > KEEPALIVED_PASSWORD;
    const detail = `password${cut ? ', cut to 20 bytes' : ''}: keepalived used its first 8 bytes only, CARP takes all of it`;
    this.#ledger.note(long ? 'approximated' : 'translated', item, long ? detail : 'password', what);
  }

  #noPassword(item: Statement, instance: Statement): void {
    const detail =
      'password = "": give it one, the same on both boxes; without, anyone on the network can become master';
    this.#ledger.note('approximated', item, detail, `${instance.words.join(' ')}: no password`);
  }

  #unicast(item: Statement, vip: DraftVip, instance: Statement): void {
    this.#ledger.use(item);
    for (const one of item.children) {
      const [address = ''] = one.words;
      const what = `${instance.words.join(' ')}: unicast_peer ${one.words.join(' ')}`;
      const trouble = this.#draft.addPeer(vip, address);
      const more = one.words.length > 1 ? 'CARP takes TTL 255 only' : 'peers';
      this.#ledger.whole(
        trouble ? 'left out' : one.words.length > 1 ? 'approximated' : 'translated',
        one,
        trouble ?? more,
        what,
      );
    }
  }

  #finish(item: Statement, vip: DraftVip, first: DraftVip): void {
    vip.password = first.password;
    if (vip !== first) vip.notes = [...first.notes, ...vip.notes.filter((note) => !first.notes.includes(note))];
    if (vip !== first && first.peers.length > 0) {
      vip.peers = [...first.peers];
    }
    const peers = vip.peers.length;
    for (const gone of this.#draft.settlePeers(vip)) {
      const why = gone.includes('/')
        ? 'its family has no unicast peer: adverts for it would go to nobody'
        : 'a virtual address cannot be a peer';
      this.#ledger.note('left out', item, why, `${item.words.join(' ')}: ${gone}`);
    }
    if (peers > 0 && vip.peers.length === 0)
      vip.notes.push('Its unicast peers could not be kept: adverts go by multicast.');
    if (vip.addresses.length > 0) this.#draft.vips.push(vip);
    else this.#ledger.note('left out', item, 'no address is left', `${item.words.join(' ')} on ${vip.role}`);
  }
}

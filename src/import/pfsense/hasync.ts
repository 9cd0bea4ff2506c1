/** <hasync> (and its older places) to [sync] and [replicate]. */

import type { DraftSync } from '../draft.ts';
import { isOn, isOne, textOf, type World } from './world.ts';
import { child, type XmlElement } from './xml.ts';

const REPLICATE = '[replicate] sends rules and virtual IPs as a whole, checked on the peer first';

const OTHERS = "Carpio sends rules and virtual IPs, no other services' settings";
const REPLICATED = /^(synchronize)?(rules|nat|aliases|virtualip)$/;

class HaSync {
  readonly #section: XmlElement;
  readonly #world: World;
  readonly #opnsense: boolean;

  constructor(section: XmlElement, world: World, opnsense: boolean) {
    this.#section = section;
    this.#world = world;
    this.#opnsense = opnsense;
  }

  #note(
    name: string,
    outcome: 'translated' | 'approximated' | 'not needed' | 'left out',
    detail: string,
    showText = true,
  ): void {
    const item = child(this.#section, name);
    if (item)
      this.#world.ledger.whole(
        outcome,
        item,
        detail,
        `hasync: ${name}${showText && item.text !== '' ? ` ${item.text}` : ''}`,
      );
  }

  read(): void {
    this.#sync();
    const to = child(this.#section, 'synchronizetoip');
    if (to && to.text !== '') {
      this.#world.draft.source = true;
      this.#note(
        'synchronizetoip',
        'approximated',
        `${REPLICATE}, over the sync link; the peer's address is that of [sync]`,
      );
    } else this.#note('synchronizetoip', 'not needed', 'empty');
    for (const name of ['username', 'password', 'passwordagain', 'verifypeer'])
      this.#note(
        name,
        'not needed',
        'the pair authenticates with its key file, not with a user of the web pages',
        false,
      );
    const preempt = child(this.#section, 'disablepreempt');
    if (preempt) {
      const off = isOne(preempt);
      if (off) this.#world.draft.preempt = false;
      this.#note('disablepreempt', 'translated', `[carp] preempt = ${!off}`);
    }
    this.#note('pfsyncversion', 'not needed', 'between two Carpio boxes; beside a BSD box set [sync] dialect');
    const ppp = isOne(child(this.#section, 'disconnectppps'));
    this.#note('disconnectppps', ppp ? 'left out' : 'not needed', ppp ? 'dial-up links: see [hooks] on_event' : 'off');
    this.#note('adminsync', 'not needed', 'Carpio has no users');
    this.#items();
  }

  /** What was sent: each switch or list, with what Carpio does instead. */
  #items(): void {
    const { ledger } = this.#world;
    for (const item of this.#section.children) {
      if (!/^synchronize|^syncitems$/.test(item.name) || item.name === 'synchronizetoip') continue;
      const what = `hasync: ${item.name}${item.text ? ` ${item.text}` : ''}`;
      if (item.name === 'syncitems') this.#list(item, what);
      else if (!isOn(item)) ledger.whole('not needed', item, 'off', what);
      else if (REPLICATED.test(item.name)) ledger.whole('approximated', item, REPLICATE, what);
      else ledger.whole('left out', item, OTHERS, what);
    }
  }

  #list(item: XmlElement, what: string): void {
    const items = item.text.split(',').filter((one) => one !== '');
    const others = items.filter((one) => !REPLICATED.test(one));
    const { ledger } = this.#world;
    if (items.length === 0) ledger.whole('not needed', item, 'empty', what);
    else if (others.length === items.length) ledger.whole('left out', item, OTHERS, what);
    else
      ledger.whole(
        'approximated',
        item,
        `${REPLICATE}${others.length > 0 ? `; not sent: ${others.join(', ')}` : ''}`,
        what,
      );
  }

  #sync(): void {
    const { draft, ledger, interfaces } = this.#world;
    const key = textOf(child(this.#section, 'pfsyncinterface'));
    const enabled = this.#opnsense ? key !== '' : isOn(child(this.#section, 'pfsyncenabled'));
    if (!enabled) {
      for (const name of ['pfsyncenabled', 'pfsyncinterface', 'pfsyncpeerip', 'pfsyncdefer'])
        this.#note(name, 'not needed', 'state sync was off');
      return;
    }
    const role = interfaces.get(key)?.role;
    if (role === undefined) {
      this.#note('pfsyncenabled', 'left out', 'there is no [sync]');
      this.#note('pfsyncinterface', 'left out', 'this interface is not a role: there will be no [sync]');
      this.#note('pfsyncpeerip', 'left out', 'there is no [sync]');
      this.#note('pfsyncdefer', 'left out', 'there is no [sync]');
      return;
    }
    const sync: DraftSync = {
      role,
      peer: null,
      ignore: [],
      defer: isOne(child(this.#section, 'pfsyncdefer')),
      maxStates: null,
      notes: [],
    };
    draft.sync = sync;
    this.#note('pfsyncenabled', 'translated', '[sync]');
    this.#note('pfsyncinterface', 'translated', `[sync] interface = "${role}"`);
    this.#note('pfsyncdefer', 'translated', `[sync] defer = ${sync.defer}`);
    const peer = textOf(child(this.#section, 'pfsyncpeerip'));
    if (peer === '' || peer === '224.0.0.240')
      this.#note('pfsyncpeerip', 'translated', 'multicast to 224.0.0.240, the default');
    else {
      const trouble = draft.syncPeerTrouble(peer);
      if (!trouble) sync.peer = peer;
      this.#note('pfsyncpeerip', trouble ? 'left out' : 'translated', trouble ?? '[sync] peer');
    }
    ledger.advise('the peer needs the same [sync] with its own peer address, and the same key_file');
  }
}

export function readHaSync(root: XmlElement, world: World): void {
  const section = child(root, 'hasync');
  if (section && section.children.length > 0) new HaSync(section, world, root.name === 'opnsense').read();
}

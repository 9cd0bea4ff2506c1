/// <reference lib="dom" />
/** The card of one node: its name and role to be read from across the room, the rest from the chair. */
import { element, fillRows, setData, setText } from './dom.ts';
import { type CardView, GLYPH, type VipView } from './view.ts';
import { count } from './words.ts';

export interface Card {
  root: HTMLElement;
  show(view: CardView): void;
}

export function makeCard(): Card {
  const name = element('h2', 'name');
  const uptime = element('span', 'uptime');
  const glyph = element('span', 'glyph');
  glyph.setAttribute('aria-hidden', 'true');
  const role = element('span', 'word');
  const notes = element('ul', 'notes');
  const noteRows: { root: HTMLElement }[] = [];
  const head = element('header', 'head', name, uptime, element('p', 'role', glyph, role), notes);
  const vips = element('ul', 'vips');
  const vipRows: VipRow[] = [];
  const facts = makeFacts();
  const root = element('article', 'node', head, vips, facts.root);

  const show = (view: CardView): void => {
    setData(root, 'tone', view.tone);
    setData(root, 'bare', String(view.vips.length === 0));
    setText(name, view.name);
    setText(uptime, view.uptime ?? '');
    setText(glyph, GLYPH[view.tone]);
    setText(role, view.role);
    setData(role, 'length', view.role.length > 9 ? 'long' : view.role.length > 6 ? 'middle' : 'short');
    const makeNote = () => ({ root: element('li', '') });
    fillRows(notes, noteRows, view.notes, makeNote, (row, text) => setText(row.root, text));
    fillRows(vips, vipRows, view.vips, makeVip, (row, vip) => row.show(vip));
    facts.show(view);
  };
  return { root, show };
}

/** The numbers at the foot of the card. */
function makeFacts(): Card {
  const demotion = element('dd', 'demotion');
  const own = element('dd', '');
  const mirrored = element('dd', '');
  const kernel = element('dd', '');
  const fact = (name: string, value: HTMLElement): HTMLElement => element('div', '', element('dt', '', name), value);
  const root = element(
    'dl',
    'facts',
    fact('own states', own),
    fact('mirrored', mirrored),
    fact('in kernel', kernel),
    fact('demotion', demotion),
  );
  const show = (view: CardView): void => {
    root.hidden = view.demotion === null;
    setText(demotion, view.demotion ?? '');
    setData(demotion, 'raised', String(view.demoted));
    setText(own, count(view.states?.own));
    setText(mirrored, count(view.states?.mirrored));
    setText(kernel, count(view.states?.kernel));
  };
  return { root, show };
}

interface VipRow {
  root: HTMLElement;
  show(vip: VipView): void;
}

function makeVip(): VipRow {
  const state = element('span', 'state');
  const name = element('span', 'vhid');
  const addresses = element('span', 'addresses');
  const addressRows: { root: HTMLElement }[] = [];
  const told = element('span', 'told');
  const heard = element('span', 'heard');
  const root = element('li', 'vip', state, element('div', '', name, addresses), element('div', 'small', told, heard));
  const show = (vip: VipView): void => {
    setData(root, 'tone', vip.tone);
    setText(state, `${GLYPH[vip.tone]} ${vip.state}`);
    setText(name, vip.name);
    const make = () => ({ root: element('span', '') });
    fillRows(addresses, addressRows, vip.addresses, make, (row, text) => setText(row.root, text));
    setText(told, vip.told);
    setText(heard, vip.heard);
  };
  return { root, show };
}

/** keepalived's track_interface and track_script to [[track]]. */

import type { Statement } from '../blocks.ts';
import type { Draft } from '../draft.ts';
import type { Ledger } from '../ledger.ts';

/** Enough to lose every role to a healthy peer: what keepalived calls FAULT. */
const FAULT_WEIGHT = 240;

/** The words behind a tracked name: `eth0 weight -20 reverse`. */
interface Tracked {
  name: string;
  weight: number | null;
  reverse: boolean;
  /** Words that are none of these. */
  unknown: string[];
}

function readTracked(item: Statement): Tracked {
  const tracked: Tracked = { name: item.words[0] ?? '', weight: null, reverse: false, unknown: [] };
  for (let i = 1; i < item.words.length; i++) {
    const word = item.words[i]!;
    if (word === 'weight') {
      const weight = Number(item.words[++i] ?? '');
      if (Number.isInteger(weight) && Math.abs(weight) <= 254) tracked.weight = weight;
      else tracked.unknown.push(`weight ${item.words[i] ?? ''}`);
    } else if (word === 'reverse') tracked.reverse = true;
    else if (word !== 'noreverse' && word !== 'no_reverse') tracked.unknown.push(word);
  }
  return tracked;
}

/** One step of priority is one step of skew, so a weight is a demotion; none or 0 is keepalived's FAULT. */
function demotion(weight: number | null): number {
  return weight === null || weight === 0 ? FAULT_WEIGHT : Math.min(254, Math.abs(weight));
}

/** `track_interface { eth0 eth1 }` on one line is one statement of two names; apart it is two. */
function names(block: Statement): Statement[] {
  if (!block.block && block.words.length > 1) return [{ ...block, words: block.words.slice(1), children: [] }];
  return [...block.children];
}

function splitBare(item: Statement): Statement[] {
  const bare = item.words.every((word) => !/^(weight|reverse|noreverse|no_reverse)$/.test(word));
  return bare ? item.words.map((word) => ({ ...item, name: word, words: [word] })) : [item];
}

export class TrackReader {
  readonly #draft: Draft;
  readonly #ledger: Ledger;
  readonly #scripts: ReadonlyMap<string, Statement>;

  constructor(draft: Draft, ledger: Ledger, scripts: ReadonlyMap<string, Statement>) {
    this.#draft = draft;
    this.#ledger = ledger;
    this.#scripts = scripts;
  }

  /** @param own the device of the instance, whose link is watched without asking */
  interfaces(block: Statement, own: string | null): void {
    this.#each(block, (item, tracked) => {
      const what = `track_interface ${item.words.join(' ')}`;
      if (tracked.reverse)
        return this.#note('left out', item, 'a link that is up cannot be a reason for demotion', what);
      if (tracked.name === own && (tracked.weight ?? 0) === 0) {
        return this.#note(
          'not needed',
          item,
          'the link of an interface that has a vhid is watched without asking',
          what,
        );
      }
      const role = this.#draft.roleOfDevice(tracked.name, 'tracked by keepalived');
      if (role === null) return this.#note('left out', item, 'not a device name', what);
      const weight = demotion(tracked.weight);
      const trouble = this.#draft.addTrack({ kind: 'link', name: `link ${role}`, weight, role, note: '' });
      if (trouble) return this.#note('left out', item, trouble, what);
      this.#note(
        'approximated',
        item,
        `[[track]] link ${role}, weight ${weight}: it lowers every vhid of the node`,
        what,
      );
    });
  }

  scripts(block: Statement): void {
    this.#each(block, (item, tracked) => {
      const what = `track_script ${item.words.join(' ')}`;
      const script = this.#scripts.get(tracked.name);
      if (!script) return this.#note('left out', item, 'there is no vrrp_script of that name', what);
      if (tracked.reverse)
        return this.#note('left out', item, 'a script that succeeds cannot be a reason for demotion', what);
      this.#script(item, tracked, script, what);
    });
  }

  #script(item: Statement, tracked: Tracked, script: Statement, what: string): void {
    const value = (name: string) => script.children.find((one) => one.name === name)?.words;
    const command = (value('script') ?? []).slice(1).join(' ').trim();
    if (!/^\/\S+$/.test(command) || command.endsWith('/')) {
      const recipe = 'a [[track]] runs one program without arguments: put the command into a script and name that';
      const detail = command === '' ? 'its vrrp_script names no script' : recipe;
      this.#note('left out', item, detail, what);
      return;
    }
    const own = value('weight');
    const weight = demotion(tracked.weight ?? (own === undefined ? null : Number(own[1]) || 0));
    const seconds = (words: readonly string[] | undefined, standard: number, max: number) =>
      Math.min(max, Math.max(1, Math.ceil(Number(words?.[1] ?? standard)) || standard));
    const interval = seconds(value('interval'), 1, 3600);
    const timeout = seconds(value('timeout'), interval, 600);
    const name = `script ${tracked.name}`.slice(0, 64).replace(/[^ -~]/g, '?');
    const trouble = this.#draft.addTrack({ kind: 'script', name, weight, path: command, interval, timeout, note: '' });
    if (trouble) {
      this.#note('left out', item, trouble, what);
      return;
    }
    this.#note('approximated', item, `[[track]] ${name}, weight ${weight}: it lowers every vhid of the node`, what);
  }

  #each(block: Statement, act: (item: Statement, tracked: Tracked) => void): void {
    this.#ledger.use(block);
    const items = names(block).flatMap(splitBare);
    if (items.length === 0) this.#note('not needed', block, 'empty', block.words.join(' '));
    for (const item of items) {
      const tracked = readTracked(item);
      if (tracked.unknown.length > 0) {
        this.#note(
          'left out',
          item,
          `not known: ${tracked.unknown.join(' ')}`,
          `${block.name} ${item.words.join(' ')}`,
        );
      } else act(item, tracked);
    }
    this.#ledger.cover(block);
  }

  #note(outcome: 'approximated' | 'left out' | 'not needed', item: Statement, detail: string, what: string): void {
    this.#ledger.note(outcome, item, detail, what);
  }
}

/** Accounts for the settings of a vrrp_script itself; its tracks are made where it is used. */
export function noteScript(script: Statement, used: boolean, ledger: Ledger): void {
  const what = script.words.join(' ');
  if (!used) {
    ledger.whole('left out', script, 'no instance tracks it', what);
    return;
  }
  ledger.note('translated', script, 'see where it is tracked', what);
  for (const one of script.children) {
    const text = `${what}: ${one.words.join(' ')}`;
    if (one.name === 'script' || one.name === 'weight') ledger.use(one);
    else if (one.name === 'interval' || one.name === 'timeout') {
      const whole = /^[0-9]+$/.test(one.words[1] ?? '');
      ledger.note(whole ? 'translated' : 'approximated', one, whole ? '' : 'whole seconds, at least 1', text);
    } else if (one.name === 'rise' || one.name === 'fall') {
      const once = one.words[1] === '1';
      const why = once ? 'this is how Carpio does it' : 'one result is enough for Carpio; count inside the script';
      ledger.whole(once ? 'not needed' : 'left out', one, why, text);
    } else if (one.name === 'user') ledger.whole('left out', one, 'the script runs as Carpio does', text);
    else if (one.name === 'init_fail') ledger.whole('left out', one, 'a script counts from its first result on', text);
  }
}

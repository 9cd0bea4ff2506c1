/** keepalived.conf (its VRRP part) to carpio.toml. Pure. */

import { readBlocks, type Statement } from '../blocks.ts';
import { addConntrackd } from '../conntrackd/import.ts';
import { Draft } from '../draft.ts';
import { Ledger } from '../ledger.ts';
import type { ImportOptions, ReadResult } from '../result.ts';
import { isNodeName } from '../roles.ts';
import { InstanceReader } from './instance.ts';
import { noteScript, TrackReader } from './track.ts';
import { globalReason, INSTANCE_LEFT_OUT, INSTANCE_NOT_NEEDED, TOP_LEFT_OUT, TOP_NOT_NEEDED } from './words.ts';

const SCRIPT_BLOCKS = new Set(['vrrp_script']);
/** Blocks in which more than the name could be a secret. */
const QUIET = /auth|pass|secret|key/i;

class Keepalived {
  readonly #ledger = new Ledger();
  readonly #draft: Draft;
  readonly #scripts = new Map<string, Statement>();
  readonly #tracks: TrackReader;
  readonly #named: boolean;

  constructor(draft: Draft, named: boolean) {
    this.#draft = draft;
    this.#named = named;
    this.#tracks = new TrackReader(draft, this.#ledger, this.#scripts);
  }

  /** @param withSync [sync] comes from conntrackd.conf */
  read(root: Statement, withSync: boolean): { draft: Draft; nft: null; ledger: Ledger } {
    for (const one of root.children) if (SCRIPT_BLOCKS.has(one.name)) this.#scripts.set(one.words[1] ?? '', one);
    const instances = new InstanceReader(this.#draft, this.#ledger, this.#tracks);
    for (const one of root.children) if (one.name === 'vrrp_instance' && one.block) instances.read(one);
    for (const one of root.children) this.#top(one);
    const used = new Set(
      root.children
        .flatMap((one) => one.children)
        .filter((one) => one.name === 'track_script')
        .flatMap((one) => [...one.words, ...one.children.flatMap((child) => child.words)]),
    );
    for (const [name, script] of this.#scripts) noteScript(script, used.has(name), this.#ledger);
    this.#ledger.sweep(root);
    this.#ensureInterface();
    this.#advise(withSync);
    return { draft: this.#draft, nft: null, ledger: this.#ledger };
  }

  #top(item: Statement): void {
    const { name } = item;
    const what = QUIET.test(name) ? name : item.words.join(' ');
    if (name === 'global_defs') for (const one of item.children) this.#global(one);
    else if (name === 'vrrp_sync_group') this.#syncGroup(item);
    else if (name.startsWith('$')) this.#ledger.note('translated', item, 'filled in where it is used', name);
    else if (name.startsWith('@'))
      this.#ledger.whole(
        'left out',
        item,
        'a line for one configuration id only (keepalived -i): import the file as that box sees it',
        what,
      );
    else if (name === 'track_file' || name === 'vrrp_track_file')
      this.#ledger.whole('left out', item, INSTANCE_LEFT_OUT.track_file!, what);
    else if (TOP_NOT_NEEDED[name]) this.#ledger.whole('not needed', item, TOP_NOT_NEEDED[name], what);
    else if (TOP_LEFT_OUT[name]) this.#ledger.whole('left out', item, TOP_LEFT_OUT[name], what);
    if (item.block && item.children.length === 0 && name !== 'vrrp_instance')
      this.#ledger.note('not needed', item, 'empty', what);
  }

  #global(item: Statement): void {
    const [name = '', value = ''] = item.words;
    const what = `global_defs: ${item.words.join(' ')}`;
    if (name === 'router_id') {
      const good = isNodeName(value);
      if (good && !this.#named) this.#draft.name = value;
      this.#ledger.note(
        good ? 'translated' : 'left out',
        item,
        good ? '[node] name' : 'not a name that a node can have',
        what,
      );
      return;
    }
    const reason = globalReason(name);
    if (reason) this.#ledger.whole(reason.outcome, item, reason.why, QUIET.test(name) ? `global_defs: ${name}` : what);
  }

  #syncGroup(item: Statement): void {
    const what = item.words.join(' ');
    const preempt = this.#draft.preempt;
    const detail = preempt
      ? '[carp] preempt = true moves all vhids of a node together'
      : 'without preempt only a lost link moves all vhids together';
    this.#ledger.note(preempt ? 'translated' : 'approximated', item, detail, what);
    for (const one of item.children) {
      const text = `${what}: ${one.words.join(' ')}`;
      if (one.name === 'group') {
        const members = one.children.flatMap((member) => member.words).join(', ');
        this.#ledger.whole('translated', one, 'all vhids move together', `${what}: ${members}`);
      } else if (one.name === 'track_interface') this.#tracks.interfaces(one, null);
      else if (one.name === 'track_script') this.#tracks.scripts(one);
      else if (one.name === 'global_tracking' || one.name === 'sync_group_tracking_weight') {
        this.#ledger.whole('not needed', one, 'a demotion lowers every vhid of the node', text);
      } else if (INSTANCE_NOT_NEEDED[one.name])
        this.#ledger.whole('not needed', one, INSTANCE_NOT_NEEDED[one.name], text);
      else if (INSTANCE_LEFT_OUT[one.name]) this.#ledger.whole('left out', one, INSTANCE_LEFT_OUT[one.name], text);
    }
  }

  /** The schema wants one role at least, also of a file that had nothing for us. */
  #ensureInterface(): void {
    if (this.#draft.interfaces.size > 0) return;
    this.#draft.interfaces.set('wan', {
      device: 'eth0',
      note: 'a guess: the file has no vrrp_instance that could be used',
    });
  }

  #advise(withSync: boolean): void {
    const { vips } = this.#draft;
    if (vips.length > 0) this.#ledger.advise('VRRP and CARP do not talk to each other: move both boxes in one go');
    this.#ledger.advise('name the roles for what they are (wan, lan) with --devices wan=eth0,lan=eth1');
    if (new Set(vips.map((vip) => vip.advbase)).size > 1)
      this.#ledger.advise('the vhids have different advbase, and the slowest decides when all have moved');
    if (withSync) return;
    this.#ledger.advise(
      'keepalived syncs no states; for [sync] import conntrackd.conf, or write it: docs/configuration.md',
    );
    this.#draft.notes.push(
      'State sync is not in keepalived.conf: see [sync] in docs/configuration.md, or import conntrackd.conf.',
    );
  }
}

/** Reads keepalived.conf. Never throws. */
export function readKeepalived(text: string, options: ImportOptions): ReadResult {
  const read = readBlocks(text, { comments: '#!', variables: true });
  if (!read.ok) return read;
  const draft = new Draft(options.devices);
  if (options.name !== undefined) draft.name = options.name;
  const { conntrackd } = options;
  const imported = new Keepalived(draft, options.name !== undefined).read(read.root, conntrackd !== undefined);
  if (conntrackd === undefined) return { ok: true, imported };
  const { file } = conntrackd;
  const added = addConntrackd(draft, conntrackd.text);
  if (!added.ok) return { ...added, file };
  imported.ledger.join(added.ledger, file);
  return { ok: true, imported };
}

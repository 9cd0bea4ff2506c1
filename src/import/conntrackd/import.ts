/** conntrackd.conf to Carpio's [sync]. Pure. */

import { parseAddress, parseCidr } from '../../net/cidr.ts';
import { readBlocks, type Statement } from '../blocks.ts';
import { Draft, type DraftSync } from '../draft.ts';
import { Ledger } from '../ledger.ts';
import type { ImportOptions, ReadResult } from '../result.ts';
import { isDevice } from '../roles.ts';

const LOGGED = 'Carpio logs to standard error, which the service manager keeps';
const ONE_TABLE =
  "Carpio keeps mirrored states in the backup's kernel: there is no second cache to tune, commit or purge";
const SESSION = 'Carpio numbers, acknowledges and compares by itself';
const BUFFERS = 'Carpio sizes its buffers itself, and repairs by difference after an overrun';

/** Settings that Carpio has no need of, by the name of their block and their own. */
const NOT_NEEDED: Readonly<Record<string, string>> = {
  ResendQueueSize: SESSION,
  ResendBufferSize: SESSION,
  ACKWindowSize: SESSION,
  StartupResync: 'a node that starts always learns the states first',
  CommitTimeout: ONE_TABLE,
  PurgeTimeout: ONE_TABLE,
  CacheTimeout: ONE_TABLE,
  RefreshTime: SESSION,
  DisableInternalCache: ONE_TABLE,
  DisableExternalCache: ONE_TABLE,
  HashSize: ONE_TABLE,
  TCPWindowTracking: 'mirrored connections carry the liberal window flag',
  SndSocketBuffer: BUFFERS,
  RcvSocketBuffer: BUFFERS,
  McastSndSocketBuffer: BUFFERS,
  McastRcvSocketBuffer: BUFFERS,
  NetlinkBufferSize: BUFFERS,
  NetlinkBufferSizeMaxGrowth: BUFFERS,
  SocketBufferSize: BUFFERS,
  SocketBufferSizeMaxGrown: BUFFERS,
  SocketBufferSizeMaxGrowth: BUFFERS,
  NetlinkOverrunResync: BUFFERS,
  NetlinkEventsReliable: BUFFERS,
  EventIterationLimit: 'the dataplane has a thread of its own',
  Checksum: 'sealed packets are authenticated; open ones carry a check too',
  Group: "Carpio's sync is IP protocol 240 and has no port",
  Port: "Carpio's sync is IP protocol 240 and has no port",
  IPv4_interface: "the address of the device is the system's; Carpio asks for it",
  Nice: 'the dataplane has a thread of its own',
  Systemd: 'the service file does that',
  LogFile: LOGGED,
  Syslog: LOGGED,
  Lockfile: 'the control socket is the lock',
  LockFile: 'the control socket is the lock',
  UNIX: 'Carpio has its own control socket ([node] control)',
  Scheduler: 'the dataplane has a thread of its own',
  Family: 'both families are synced',
  ExpectationSync: 'expectations of connection helpers are synced without asking',
};

const LEFT_OUT: Readonly<Record<string, string>> = {
  PollSecs: 'Carpio follows events and does not poll',
  Stats: 'statistics of ended connections are not a job of Carpio',
  Helper: 'user-space connection helpers are not a job of Carpio',
  StripNAT: 'NAT is always synced',
};

const TRANSPORTS = new Set(['Multicast', 'UDP', 'TCP']);
const MODES: Readonly<Record<string, string>> = {
  FTFW: 'acknowledged and repaired, as in FTFW',
  ALARM: 'acknowledged and repaired by difference; nothing is sent again and again',
  NOTRACK: 'acknowledged and repaired, more than NOTRACK promises',
};

/** A single address, but not a loopback one. */
function isOneAddress(text: string): boolean {
  const cidr = parseCidr(text);
  const address = parseAddress(text) ?? (cidr !== null && cidr.prefix === cidr.bytes.length * 8 ? cidr : null);
  return address !== null && !/^(127\.|::1(\/|$))/.test(text);
}

class Conntrackd {
  readonly #ledger = new Ledger();
  readonly #draft: Draft;
  readonly #sync: DraftSync = { role: '', peer: null, ignore: [], defer: false, maxStates: null, notes: [] };
  readonly #transports: Statement[] = [];

  constructor(draft: Draft) {
    this.#draft = draft;
  }

  read(root: Statement): { draft: Draft; nft: null; ledger: Ledger } {
    for (const section of root.children) {
      if (section.name === 'Sync' || section.name === 'General')
        for (const one of section.children) this.#statement(one);
      else this.#simple(section);
      if (section.block && section.children.length === 0) this.#ledger.note('not needed', section, 'empty');
    }
    this.#pickTransport();
    this.#ledger.sweep(root);
    this.#draft.sync = this.#sync;
    this.#ledger.advise('the other box needs the same, with its own peer address, and the same key_file');
    return { draft: this.#draft, nft: null, ledger: this.#ledger };
  }

  #simple(item: Statement): void {
    const reason = NOT_NEEDED[item.name];
    const left = LEFT_OUT[item.name];
    const what = item.block ? item.name : item.words.join(' ');
    if (reason) this.#ledger.whole('not needed', item, reason, what);
    else if (left) this.#ledger.whole('left out', item, left, what);
  }

  #statement(item: Statement): void {
    const { name, words } = item;
    if (TRANSPORTS.has(name) && item.block) this.#transports.push(item);
    else if (name === 'Mode') this.#mode(item);
    else if (name === 'Filter') for (const one of item.children) this.#filter(one);
    else if (name === 'Options' && item.block) for (const one of item.children) this.#simple(one);
    else if (name === 'HashLimit') this.#hashLimit(item);
    else if (name === 'IgnoreTrafficFor') for (const one of item.children) this.#ignore(one, false);
    else if (name === 'ExpectationSync' && /^(off|no)$/i.test(words[1] ?? ''))
      this.#ledger.whole('not needed', item, 'off');
    else this.#simple(item);
    if ((name === 'Filter' || name === 'Options') && item.children.length === 0)
      this.#ledger.note('not needed', item, 'empty');
  }

  #mode(item: Statement): void {
    const known = MODES[item.words[1] ?? ''];
    const what = item.words.join(' ');
    if (known)
      this.#ledger.note(item.words[1] === 'FTFW' ? 'translated' : 'approximated', item, `[sync]: ${known}`, what);
    else this.#ledger.note('left out', item, 'not a mode that the importer knows', what);
    for (const one of item.children) this.#simple(one);
  }

  #hashLimit(item: Statement): void {
    const limit = Number(item.words[1]);
    if (!Number.isInteger(limit) || limit < 1) {
      this.#ledger.note('left out', item, 'not a number', item.words.join(' '));
      return;
    }
    this.#sync.maxStates = Math.min(16_777_216, Math.max(1024, limit));
    const same = this.#sync.maxStates === limit;
    this.#ledger.note(
      same ? 'translated' : 'approximated',
      item,
      `[sync] max_states = ${this.#sync.maxStates}`,
      item.words.join(' '),
    );
  }

  #filter(item: Statement): void {
    const policy = item.words[1];
    const values = item.children.map((one) => one.words.join(' ')).join(', ');
    const what = `Filter ${item.words.join(' ')} { ${values} }`;
    if (item.name === 'Address') for (const one of item.children) this.#ignore(one, policy === 'Accept');
    if (item.name === 'Address' && item.children.length > 0) return;
    if (item.name === 'Protocol' && policy === 'Accept') {
      this.#ledger.whole('approximated', item, 'states of every protocol are synced, these among them', what);
    } else if (item.name === 'Protocol') {
      this.#ledger.whole(
        'left out',
        item,
        'states of every protocol are synced; only addresses can be left out (ignore)',
        what,
      );
    } else if (item.name === 'State') {
      const detail = 'sync_when = "answered" (the default): connections are synced from their first answer on';
      this.#ledger.whole('approximated', item, detail, what);
    }
  }

  #ignore(item: Statement, accept: boolean): void {
    const [key = '', value = ''] = item.words;
    const what = item.words.join(' ');
    if (!/^IPv[46]_address$/.test(key)) return;
    if (accept) {
      this.#ledger.whole(
        'left out',
        item,
        'Carpio knows addresses to ignore, not the only ones to sync',
        `Address Accept ${what}`,
      );
      return;
    }
    // conntrackd compares the two sources only, [sync] ignore every end: with a virtual address in the list no
    // connection that is forwarded through it would be synced. What ends on the box itself is not synced anyway.
    if (isOneAddress(value)) {
      const why = 'connections of the box itself are not synced anyway; those forwarded through it must go on being';
      this.#ledger.whole('not needed', item, why, `Address Ignore ${what}`);
      return;
    }
    const trouble = this.#draft.addIgnore(this.#sync, value);
    this.#ledger.whole(trouble ? 'left out' : 'translated', item, trouble ?? '[sync] ignore', `Address Ignore ${what}`);
  }

  /** One link: the one marked Default, else the first; the others are said to be left out. */
  #pickTransport(): void {
    const chosen = this.#transports.find((one) => one.words[1] === 'Default') ?? this.#transports[0];
    for (const other of this.#transports) {
      if (other === chosen) continue;
      this.#ledger.whole(
        'left out',
        other,
        'Carpio has one sync link; bond two cables if you want both',
        this.#transportName(other),
      );
    }
    const device = chosen?.children.find((one) => one.name === 'Interface' && isDevice(one.words[1] ?? ''));
    const name = device?.words[1] ?? 'eth2';
    // keepalived.conf, when it came first, may know the device already.
    const known = [...this.#draft.interfaces].find(([, one]) => one.device === name)?.[0];
    this.#sync.role = known ?? this.#draft.givenRole(name) ?? 'sync';
    if (known === undefined) {
      this.#draft.interfaces.set(this.#sync.role, {
        device: name,
        note: device ? 'from conntrackd.conf' : "put the sync link's device here",
      });
    }
    if (!device) {
      this.#sync.notes.push(`No device was named: ${name} is a guess.`);
      this.#ledger.advise(
        `conntrackd.conf names no device for the sync link; [interfaces] ${this.#sync.role} = "${name}" is a guess`,
      );
    }
    if (chosen) this.#transport(chosen, device ?? null);
    if (this.#draft.vips.length > 0) return;
    this.#draft.notes.push(
      'conntrackd.conf knows nothing of virtual addresses: add a [[vip]] for each, or import keepalived.conf',
    );
  }

  #transportName(item: Statement): string {
    const device = item.children.find((one) => one.name === 'Interface')?.words[1];
    return `${item.words.join(' ')}${device ? ` on ${device}` : ''}`;
  }

  #transport(item: Statement, device: Statement | null): void {
    const unicast = item.name !== 'Multicast';
    const how = unicast ? 'IP protocol 240 to the peer' : 'IP protocol 240 to 224.0.0.240';
    this.#ledger.note(
      item.name === 'TCP' ? 'approximated' : 'translated',
      item,
      `[sync]: ${how}`,
      item.words.join(' '),
    );
    for (const one of item.children) {
      const what = one.words.join(' ');
      if (one === device) this.#ledger.note('translated', one, `[interfaces] ${this.#sync.role}`, what);
      else if (one.name === 'Interface') this.#ledger.note('left out', one, 'not a device name', what);
      else if (/^IPv[46]_Dest(in)?ation_Address$/i.test(one.name)) this.#peer(one);
      else if (/^IPv[46]_address$/.test(one.name)) {
        const detail = unicast
          ? "this box's own address is the system's; Carpio asks for it"
          : "Carpio's group is 224.0.0.240, as pfsync's";
        this.#ledger.note('not needed', one, detail, what);
      } else this.#simple(one);
    }
  }

  #peer(item: Statement): void {
    const what = item.words.join(' ');
    const value = item.words[1] ?? '';
    const trouble =
      this.#sync.peer === null ? this.#draft.syncPeerTrouble(value) : 'there is one peer address; the first counts';
    if (!trouble) this.#sync.peer = value;
    this.#ledger.note(trouble ? 'left out' : 'translated', item, trouble ?? '[sync] peer', what);
  }
}

/** Reads conntrackd.conf into a draft that another importer has begun. @returns its own account */
export function addConntrackd(
  draft: Draft,
  text: string,
): { ok: true; ledger: Ledger } | { ok: false; line: number; error: string } {
  const read = readBlocks(text, { comments: '#', variables: false });
  return read.ok ? { ok: true, ledger: new Conntrackd(draft).read(read.root).ledger } : read;
}

/** Reads conntrackd.conf. Never throws. */
export function readConntrackd(text: string, options: ImportOptions): ReadResult {
  const read = readBlocks(text, { comments: '#', variables: false });
  if (!read.ok) return read;
  const draft = new Draft(options.devices);
  if (options.name !== undefined) draft.name = options.name;
  return { ok: true, imported: new Conntrackd(draft).read(read.root) };
}

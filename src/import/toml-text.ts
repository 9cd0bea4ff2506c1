/** Writes a draft as a commented carpio.toml. Pure. */

import type { Draft, DraftSync, DraftTrack, DraftVip } from './draft.ts';
import { oneLine } from './ledger.ts';

interface TomlOptions {
  /** First lines, without `#`. */
  head: readonly string[];
  /** Where the rules file will be; absolute. */
  rulesPath: string;
  /** `false`: a password is replaced by the path of a file to put it in. */
  secrets: boolean;
}

/** A TOML basic string. JSON's escapes are TOML's, except that TOML wants DEL escaped too. */
export function tomlString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll('\u007f', '\\u007f');
}

const list = (items: readonly string[]) => `[${items.map(tomlString).join(', ')}]`;
const comment = (text: string) => (text === '' ? '' : `# ${oneLine(text)}`);

/** `key = value   # note`, the equals signs in one column. */
function assignments(rows: readonly (readonly [string, string, string?])[]): string {
  const width = Math.max(...rows.map(([key]) => key.length));
  return rows
    .map(([key, value, note = '']) => `${key.padEnd(width)} = ${value}${note ? `  ${comment(note)}` : ''}\n`)
    .join('');
}

function vipText(vip: DraftVip, secrets: boolean): string {
  const file = `/etc/carpio/carp-${vip.vhid}-${vip.role}.password`;
  const password: [string, string, string?] = secrets
    ? ['password', tomlString(vip.password)]
    : ['password_file', tomlString(file), 'the password is not printed; --output DIR writes it into the file'];
  return [
    ...vip.notes.map((note) => `${comment(note)}\n`),
    '[[vip]]\n',
    assignments([
      ['vhid', String(vip.vhid)],
      ['interface', tomlString(vip.role)],
      ['addresses', list(vip.addresses)],
      password,
      ['advbase', String(vip.advbase)],
      ['advskew', String(vip.advskew)],
      ...(vip.mac === 'physical' ? [['mac', '"physical"'] as const] : []),
      ...(vip.peers.length > 0 ? [['peers', list(vip.peers)] as const] : []),
    ]),
  ].join('');
}

function trackText(track: DraftTrack): string {
  const rest: [string, string][] =
    track.kind === 'link'
      ? [['interface', tomlString(track.role)]]
      : [
          ['path', tomlString(track.path)],
          ['interval', String(track.interval)],
          ['timeout', String(track.timeout)],
        ];
  const note = track.note === '' ? '' : `${comment(track.note)}\n`;
  return `${note}[[track]]\n${assignments([['kind', tomlString(track.kind)], ['name', tomlString(track.name)], ['weight', String(track.weight)], ...rest])}`;
}

function syncText(sync: DraftSync): string {
  return [
    ...sync.notes.map((note) => `${comment(note)}\n`),
    '[sync]\n',
    assignments([
      ['interface', tomlString(sync.role)],
      ...(sync.peer === null ? [] : [['peer', tomlString(sync.peer)] as const]),
      ...(sync.ignore.length > 0 ? [['ignore', list(sync.ignore)] as const] : []),
      ...(sync.defer ? [['defer', 'true'] as const] : []),
      ...(sync.maxStates === null ? [] : [['max_states', String(sync.maxStates)] as const]),
    ]),
    '# Without a key sync is open to everybody on that link. Make one, copy it to the other box, take the "# " away:\n',
    '#   carpio pair makes it and brings it to the other box\n',
    '# key_file = "/etc/carpio/pair.key"\n',
  ].join('');
}

export function tomlText(draft: Draft, options: TomlOptions): string {
  const interfaces = [...draft.interfaces].map(([role, { device, note }]) => [role, tomlString(device), note] as const);
  const parts = [
    options.head.map((line) => `${comment(line)}\n`).join(''),
    `[node]\n${assignments([['name', tomlString(draft.name), draft.nameNote]])}`,
    `[interfaces]\n${assignments(interfaces)}`,
    `[carp]\n${assignments([['preempt', String(draft.preempt)]])}`,
    ...draft.vips.map((vip) => vipText(vip, options.secrets)),
    ...draft.tracks.map(trackText),
    ...(draft.sync ? [syncText(draft.sync)] : []),
    ...(draft.rules ? [`[firewall]\n${assignments([['rules', tomlString(options.rulesPath)]])}`] : []),
    ...(draft.source
      ? [
          `# The node whose rules and virtual IPs are the source; the same line on both boxes.\n[replicate]\n${assignments([['from', tomlString(draft.name)]])}`,
        ]
      : []),
    ...(draft.notes.length > 0 ? [draft.notes.map((note) => `${comment(note)}\n`).join('')] : []),
  ];
  return parts.join('\n');
}

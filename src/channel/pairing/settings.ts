/**
 * What a pairing needs of the configuration: the node's name, the key file, the addresses on the sync link. The rest of
 * the file may still be wrong, and the key file is not there yet, so this is not the loader. It reads the file and
 * touches nothing else.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { equalAddress, parseAddress, parseCidr, sameNetwork } from '../../net/cidr.ts';

export const DEFAULT_KEY_FILE = '/etc/carpio/pair.key';

export interface PairSettings {
  node: string;
  keyFile: string;
  /** Does the configuration name the key file? Else it has to be put in. */
  keyNamed: boolean;
  /** The device of the sync role, or null. */
  device: string | null;
  peer: string | null;
}

type Table = Record<string, unknown>;

const table = (value: unknown): Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Table) : {};
const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** @param document the parsed file, or null when there is none */
export function settingsOf(document: unknown, hostname: string): PairSettings {
  const root = table(document);
  const sync = table(root.sync);
  const role = text(sync.interface) ?? 'sync';
  const keyFile = text(sync.key_file);
  return {
    node: text(table(root.node).name) ?? hostname,
    keyFile: keyFile?.startsWith('/') ? keyFile : DEFAULT_KEY_FILE,
    keyNamed: keyFile !== null,
    device: text(table(root.interfaces)[role]),
    peer: text(sync.peer),
  };
}

/** @throws Error in one line; a file that is not there is no error unless `needed` */
export function readSettings(path: string, needed: boolean, hostname: string): PairSettings {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !needed) return settingsOf(null, hostname);
    throw new Error(`cannot read ${path}: ${code === 'ENOENT' ? 'no such file' : code}`);
  }
  try {
    return settingsOf(parse(content), hostname);
  } catch {
    throw new Error(`${path} is not TOML; carpio check --config ${path} says where`);
  }
}

/** The sync link's own addresses as `address/prefix`: the one the peer's is in a subnet of, else the first of IPv4. */
export function chooseListen(own: readonly string[], peer: string | null): string | null {
  const nets = own.flatMap((cidr) => parseCidr(cidr) ?? []);
  const other = peer === null ? null : parseAddress(peer);
  const fits = nets.findIndex((net) => other !== null && sameNetwork(net, other, net.prefix));
  if (fits >= 0) return own[fits] ?? null;
  return other === null ? (own.find((cidr) => !cidr.includes(':')) ?? own[0] ?? null) : null;
}

/** Who may try: the peer that is named, else whoever is in the sync link's own subnet. */
export function mayPair(listen: string, peer: string | null): (address: string) => boolean {
  const net = parseCidr(listen);
  const named = peer === null ? null : parseAddress(peer);
  return (address) => {
    const from = parseAddress(address);
    if (from === null || net === null) return false;
    return named === null ? sameNetwork(net, from, net.prefix) : equalAddress(named, from);
  };
}

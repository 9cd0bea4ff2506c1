/**
 * Which nftables tables the kernel has, and what they are made of, over netlink: no program is started, so it can be
 * asked often.
 */

import { MessageBuilder, NetlinkClient, NLM_F_DUMP, NLM_F_REQUEST, parseAttributes } from './netlink.ts';
import { NftGeneration } from './nft-generation.ts';
import type { TableName } from './nft-scan.ts';

const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_GETCHAIN = 4;
const NFTA_TABLE = { NAME: 1, FLAGS: 2, HANDLE: 4 } as const;
const NFTA_CHAIN = { TABLE: 1, NAME: 3, POLICY: 5, USE: 6 } as const;
const NFGENMSG = 4;
/** linux/netfilter.h: NFPROTO_* */
const FAMILIES: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};

export const tableText = ({ family, name }: TableName): string => `${family} ${name}`;

/** One table as the kernel has it now. */
export interface TablePrint {
  /** The kernel gives each table a number of its own: one that was deleted and made again has another. */
  readonly handle: string;
  /** Flags, and the chains with their policies and how many rules and jumps use them. */
  readonly content: string;
}

export class NftTables {
  readonly #client = new NetlinkClient(NETLINK_NETFILTER);
  readonly #generation = new NftGeneration();

  /** It rises with every transaction, whoever made it. One system call of microseconds. @throws SysError */
  generation(): number {
    return this.#generation.read();
  }

  /** By `tableText`. @throws SysError */
  read(): Map<string, TablePrint> {
    const chains = new Map<string, string[]>();
    for (const { payload } of this.#dump(NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN)) {
      const found = parseAttributes(payload, NFGENMSG);
      const table = keyOf(payload, found.get(NFTA_CHAIN.TABLE));
      const hex = (type: number): string => found.get(type)?.toString('hex') ?? '-';
      const chain = `${cString(found.get(NFTA_CHAIN.NAME))} ${hex(NFTA_CHAIN.POLICY)} ${hex(NFTA_CHAIN.USE)}`;
      chains.set(table, [...(chains.get(table) ?? []), chain]);
    }
    const tables = new Map<string, TablePrint>();
    for (const { payload } of this.#dump(NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE)) {
      const found = parseAttributes(payload, NFGENMSG);
      const key = keyOf(payload, found.get(NFTA_TABLE.NAME));
      const flags = found.get(NFTA_TABLE.FLAGS)?.toString('hex') ?? '-';
      const content = [flags, ...(chains.get(key) ?? []).sort()].join('; ');
      tables.set(key, { handle: found.get(NFTA_TABLE.HANDLE)?.toString('hex') ?? '-', content });
    }
    return tables;
  }

  close(): void {
    this.#client.close();
    this.#generation.close();
  }

  #dump(ask: number, answer: number) {
    const type = (which: number): number => (NFNL_SUBSYS_NFTABLES << 8) | which;
    const request = new MessageBuilder(type(ask), NLM_F_REQUEST | NLM_F_DUMP, new Uint8Array(NFGENMSG));
    return this.#client.dump(request, 'list the nftables tables').filter((one) => one.type === type(answer));
  }
}

const cString = (bytes: Buffer | undefined): string => bytes?.toString('utf8').replace(/\0.*$/s, '') ?? '';

const keyOf = (payload: Buffer, name: Buffer | undefined): string =>
  tableText({ family: FAMILIES[payload[0] ?? 0] ?? 'unknown', name: cString(name) });

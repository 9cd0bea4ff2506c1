/** The generation of the kernel's rules (NFT_MSG_GETGEN): it rises with every transaction, whoever made it. */
import { MessageBuilder, NetlinkClient, NLM_F_ACK, NLM_F_REQUEST, parseAttributes } from './netlink.ts';

const NETLINK_NETFILTER = 12;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWGEN = 15;
const NFT_MSG_GETGEN = 16;
const NFTA_GEN_ID = 1;
const NFGENMSG = 4;

export class NftGeneration {
  readonly #client = new NetlinkClient(NETLINK_NETFILTER);

  /** One system call of microseconds. @throws SysError */
  read(): number {
    const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN;
    const request = new MessageBuilder(type, NLM_F_REQUEST | NLM_F_ACK, new Uint8Array(NFGENMSG));
    const answers = this.#client.dump(request, "read the generation of the kernel's rules");
    const answer = answers.find((one) => one.type === ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN));
    const id = answer === undefined ? undefined : parseAttributes(answer.payload, NFGENMSG).get(NFTA_GEN_ID);
    if (id === undefined || id.length < 4) throw new Error('the kernel did not tell the generation of its rules');
    return id.readUInt32BE(0);
  }

  close(): void {
    this.#client.close();
  }
}

/**
 * Prints this machine's connection table, one JSON object a line: every attribute of ctnetlink as hex, nested ones as
 * objects. usage: table-program.ts [expect]
 */
import {
  type Attributes,
  MessageBuilder,
  NetlinkClient,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  parseAttributes,
} from '../../../src/kernel/netlink.ts';

const NETLINK_NETFILTER = 12;
const GET = { ct: 0x101, expect: 0x201 } as const;
/** Which attributes hold attributes, by path; the kernel does not mark all of them. */
const NESTED = new Set([
  '1',
  '2',
  '1.1',
  '1.2',
  '2.1',
  '2.2',
  '4',
  '4.1',
  '4.3',
  '5',
  '15',
  '16',
  '3',
  '3.1',
  '3.2',
  '10',
]);

function plain(attributes: Attributes, path: string, nested: (path: string) => boolean): Record<string, unknown> {
  return Object.fromEntries(
    [...attributes].map(([type, value]) => {
      const at = path === '' ? String(type) : `${path}.${type}`;
      return [type, nested(at) ? plain(parseAttributes(value), at, nested) : value.toString('hex')];
    }),
  );
}

const expect = process.argv[2] === 'expect';
const client = new NetlinkClient(NETLINK_NETFILTER);
const ask = new MessageBuilder(expect ? GET.expect : GET.ct, NLM_F_REQUEST | NLM_F_DUMP, Buffer.alloc(4));
for (const { payload } of client.dump(ask, 'list connections')) {
  // 3 is the status of a connection, but the mask of an expectation.
  const nested = (at: string): boolean => NESTED.has(at) && (expect || at !== '3');
  console.log(JSON.stringify({ family: payload.readUInt8(0), ...plain(parseAttributes(payload, 4), '', nested) }));
}
client.close();

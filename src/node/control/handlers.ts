/** The commands of the control socket. What comes in is checked here; answers are data, the words are the client's. */
import { z } from 'zod';
import type { GroupEvent } from '../../carp/types.ts';
import type { DemoteResult, MaintenanceResult, SysctlResult, VerifyResult } from '../../contract/control.ts';
import type { PeerCheck } from '../../contract/peer-check.ts';
import { parseFilter } from '../../contract/state-filter.ts';
import type { NodeStatus } from '../../contract/status.ts';
import type { Json } from '../../contract/values.ts';
import { asJson, type ReplicateSide } from '../replication.ts';
import type { SyncSide } from '../sync.ts';
import type { ControlHandler } from './server.ts';

interface HandlerPorts {
  status(): NodeStatus;
  feed(event: GroupEvent): void;
  sync(): SyncSide | null;
  /** Resolves when the hand-over is done, or with the reason why it is not. */
  maintenance(on: boolean, signal: AbortSignal): Promise<MaintenanceResult>;
  /** What this node and its peer see of each other; takes a second or two. */
  peerCheck(): Promise<PeerCheck>;
  /** @throws Error `unknown oid` as BSD's sysctl says, or why the value is refused */
  sysctl(name: string, value: number | null): SysctlResult;
  /** Null: no [replicate], or no key. */
  replicate(): ReplicateSide | null;
}

const demoteArgs = z.object({ weight: z.number().int().min(-255).max(255), reason: z.string().min(1).max(64) });
const undemoteArgs = z.object({ reason: z.string().min(1).max(64) });
const verifyArgs = z.object({ deep: z.boolean().default(false) });
const maintenanceArgs = z.object({ on: z.boolean() });
const statesArgs = z.object({ filter: z.string().default(''), count: z.boolean().default(false) });
const sysctlArgs = z.object({ name: z.string().max(128), value: z.coerce.number().int().nullish() });

function checked<T>(schema: z.ZodType<T>, args: Record<string, Json>): T {
  const parsed = schema.safeParse(args);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${issue?.path.join('.') || 'arguments'}: ${issue?.message ?? 'not as expected'}`);
}

/** Plain data that TypeScript only knows by its interface. */
const plain = (value: NodeStatus | DemoteResult | MaintenanceResult | SysctlResult | VerifyResult): Json =>
  value as unknown as Json;

function needReplicate(ports: HandlerPorts): ReplicateSide {
  const side = ports.replicate();
  if (side !== null) return side;
  throw new Error('this node does not replicate: that needs [replicate] from, and [sync] with a key_file');
}

function needSync(ports: HandlerPorts): SyncSide {
  const sync = ports.sync();
  if (sync === null) throw new Error('the configuration has no [sync] section: this node does not sync states');
  return sync;
}

/** The same commands, answered from the moment on when there is somebody to ask. */
export function afterwards(
  begun: Promise<void>,
  handlers: Record<string, ControlHandler>,
): Record<string, ControlHandler> {
  const waiting = Object.entries(handlers).map(([name, handler]): [string, ControlHandler] => [
    name,
    (args, stream) => begun.then(() => handler(args, stream)),
  ]);
  return Object.fromEntries(waiting);
}

export function makeHandlers(ports: HandlerPorts): Record<string, ControlHandler> {
  const demotion = (): Json => plain(ports.status().carp.demotion);
  return {
    status: async () => plain(ports.status()),
    states: (args, stream) => listStates(ports, checked(statesArgs, args), stream),
    verify: (args) => verify(ports, checked(verifyArgs, args).deep),
    resync: async () => {
      needSync(ports).handle.resync();
      return {};
    },
    'replicate.plan': async () => asJson(await needReplicate(ports).plan()),
    'replicate.push': async () => asJson(await needReplicate(ports).push()),
    'replicate.status': async () => asJson(needReplicate(ports).status()),
    demote: async (args) => {
      const { weight, reason } = checked(demoteArgs, args);
      ports.feed({ type: 'demote', reason, weight });
      return demotion();
    },
    undemote: async (args) => {
      const { reason } = checked(undemoteArgs, args);
      if (!ports.status().carp.demotion.reasons.some((r) => r.reason === reason)) {
        throw new Error(`no demotion with the reason ${JSON.stringify(reason)}; \`carpio status\` lists them`);
      }
      ports.feed({ type: 'undemote', reason });
      return demotion();
    },
    'peer-check': async () => (await ports.peerCheck()) as unknown as Json,
    maintenance: async (args, stream) =>
      plain(await ports.maintenance(checked(maintenanceArgs, args).on, stream.signal)),
    sysctl: async (args) => {
      const { name, value } = checked(sysctlArgs, args);
      return plain(ports.sysctl(name, value ?? null));
    },
  };
}

async function listStates(
  ports: HandlerPorts,
  args: z.infer<typeof statesArgs>,
  stream: Parameters<ControlHandler>[1],
): Promise<Json> {
  const filter = parseFilter(args.filter);
  if (!filter.ok) throw new Error(`filter: ${filter.error}`);
  let count = 0;
  for await (const page of needSync(ports).handle.states()) {
    const fitting = page.filter(filter.test);
    count += fitting.length;
    if (!args.count && fitting.length > 0) await stream(fitting as unknown as Json[]);
    if (stream.signal.aborted) break;
  }
  return { count };
}

async function verify(ports: HandlerPorts, deep: boolean): Promise<Json> {
  const { inStep, ...found } = await needSync(ports).handle.verify(deep);
  return plain({ in_step: inStep, ...found });
}

/**
 * Which connection is the channel, and when to dial. Pure: (state, event, now) to actions; times in ms.
 *
 * Both nodes listen; the one with the lower address dials, so that two connections never cross. A connection counts
 * from the peer's hello on. A newer one of the same peer replaces the older: whoever dials anew has lost the old one.
 * While one lives, another node is refused, whatever key it holds: a pair is two.
 */
import { PEER_FORMAT, PEER_TIMING } from './limits.ts';
import type { Hello } from './message.ts';

export interface PeerName {
  node: string;
  version: string;
  boot: string;
}

interface Connection {
  id: number;
  dialed: boolean;
  /** Until its hello has come. */
  helloBy: number;
  heardAt: number;
  pingAt: number;
  peer: PeerName | null;
  openedAt: number;
}

export interface LinkState {
  readonly self: PeerName;
  /** null: not known yet which of the two dials. */
  dials: boolean | null;
  connections: Connection[];
  /** The connection that is the channel. */
  current: number | null;
  dialing: boolean;
  dialAt: number;
  wait: number;
  failedAt: number;
  ticked: number;
  /** Why there is no channel, for people. */
  reason: string;
}

export type LinkEvent =
  | { type: 'peer'; dials: boolean | null; reason: string }
  /** The peer shows signs of life elsewhere: dial soon. */
  | { type: 'nudge' }
  | { type: 'connected'; id: number; dialed: boolean }
  | { type: 'dialFailed'; reason: string }
  | { type: 'hello'; id: number; hello: Hello }
  | { type: 'heard'; id: number }
  | { type: 'closed'; id: number; reason: string }
  | { type: 'tick' };

type RefuseCause = 'own_name' | 'third' | 'version' | 'no_hello' | 'second_hello';

export type LinkAction =
  | { type: 'dial' }
  | { type: 'hello'; id: number }
  | { type: 'ping'; id: number }
  | { type: 'drop'; id: number; reason: string }
  | { type: 'refuse'; cause: RefuseCause; reason: string }
  | { type: 'open'; id: number; peer: PeerName }
  | { type: 'lost'; reason: string };

export function newLink(self: PeerName, now: number): LinkState {
  return {
    self,
    dials: null,
    connections: [],
    current: null,
    dialing: false,
    dialAt: now,
    wait: PEER_TIMING.retry,
    failedAt: Number.NEGATIVE_INFINITY,
    ticked: now,
    reason: 'the address of the peer is not known yet',
  };
}

/** Changes `state` and says what is to be done. */
export function stepLink(state: LinkState, event: LinkEvent, now: number): LinkAction[] {
  const actions: LinkAction[] = [];
  switch (event.type) {
    case 'peer':
      if (state.dials !== event.dials && event.dials === true) state.dialAt = now;
      state.dials = event.dials;
      if (state.current === null) state.reason = event.reason;
      break;
    case 'nudge':
      if (state.current === null) state.dialAt = Math.min(state.dialAt, state.failedAt + PEER_TIMING.nudged);
      break;
    case 'connected':
      onConnected(state, event, now, actions);
      break;
    case 'dialFailed':
      state.dialing = false;
      retryLater(state, now);
      if (state.current === null) state.reason = event.reason;
      break;
    case 'hello':
      onHello(state, event, now, actions);
      break;
    case 'heard': {
      const connection = find(state, event.id);
      if (connection !== undefined) connection.heardAt = now;
      break;
    }
    case 'closed':
      remove(state, event.id, event.reason, now, actions);
      break;
    case 'tick':
      onTick(state, now, actions);
      break;
  }
  dialIfDue(state, now, actions);
  return actions;
}

const find = (state: LinkState, id: number): Connection | undefined => state.connections.find((one) => one.id === id);

function onConnected(
  state: LinkState,
  { id, dialed }: Extract<LinkEvent, { type: 'connected' }>,
  now: number,
  actions: LinkAction[],
): void {
  if (dialed) state.dialing = false;
  state.connections.push({
    id,
    dialed,
    helloBy: now + PEER_TIMING.hello,
    heardAt: now,
    pingAt: now + PEER_TIMING.ping,
    peer: null,
    openedAt: now,
  });
  actions.push({ type: 'hello', id });
}

function onHello(
  state: LinkState,
  { id, hello }: Extract<LinkEvent, { type: 'hello' }>,
  now: number,
  actions: LinkAction[],
): void {
  const connection = find(state, id);
  if (connection === undefined) return;
  const refused = judge(state, connection, hello);
  if (refused !== null) {
    actions.push({ type: 'refuse', ...refused });
    drop(state, id, refused.reason, now, actions);
    return;
  }
  const { node, version, boot } = hello;
  connection.peer = { node, version, boot };
  connection.heardAt = now;
  connection.openedAt = now;
  const old = state.current;
  if (old !== null) drop(state, old, 'the peer has connected anew', now, actions);
  state.current = id;
  state.reason = '';
  actions.push({ type: 'open', id, peer: connection.peer });
}

function judge(state: LinkState, connection: Connection, hello: Hello): { cause: RefuseCause; reason: string } | null {
  const { node } = hello;
  if (connection.peer !== null) return { cause: 'second_hello', reason: `${node} said hello twice` };
  if (hello.v !== PEER_FORMAT) {
    const reason = `${node} (carpio ${hello.version}) speaks format ${hello.v} of the peer channel, this node ${PEER_FORMAT}`;
    return { cause: 'version', reason };
  }
  if (node === state.self.node) {
    const reason = `the peer is called ${node} too; give each node a [node] name of its own`;
    return { cause: 'own_name', reason };
  }
  const current = state.current === null ? undefined : find(state, state.current);
  if (current?.peer && current.peer.node !== node) {
    return { cause: 'third', reason: `${node} holds the pair's key, but ${current.peer.node} is the peer` };
  }
  return null;
}

function onTick(state: LinkState, now: number, actions: LinkAction[]): void {
  // What this node's own loop did not read while it stood still is no silence of the peer.
  const stood = now - state.ticked > PEER_TIMING.dead / 2;
  state.ticked = now;
  for (const connection of [...state.connections]) {
    if (stood) {
      connection.heardAt = now;
      connection.helloBy = Math.max(connection.helloBy, now + PEER_TIMING.hello);
    }
    if (connection.peer === null && now >= connection.helloBy) {
      const reason = 'connected, but did not say hello';
      actions.push({ type: 'refuse', cause: 'no_hello', reason });
      drop(state, connection.id, reason, now, actions);
    } else if (now - connection.heardAt >= PEER_TIMING.dead) {
      drop(state, connection.id, `nothing heard for ${Math.round(now - connection.heardAt)} ms`, now, actions);
    } else if (now >= connection.pingAt) {
      connection.pingAt = now + PEER_TIMING.ping;
      actions.push({ type: 'ping', id: connection.id });
    }
  }
}

function drop(state: LinkState, id: number, reason: string, now: number, actions: LinkAction[]): void {
  actions.push({ type: 'drop', id, reason });
  remove(state, id, reason, now, actions);
}

function remove(state: LinkState, id: number, reason: string, now: number, actions: LinkAction[]): void {
  const connection = find(state, id);
  if (connection === undefined) return;
  state.connections = state.connections.filter((one) => one.id !== id);
  const wasCurrent = state.current === id;
  if (wasCurrent) {
    state.current = null;
    state.reason = reason;
    actions.push({ type: 'lost', reason });
  }
  if (wasCurrent && now - connection.openedAt >= PEER_TIMING.stable) state.wait = PEER_TIMING.retry;
  if (connection.dialed) retryLater(state, now);
  if (!wasCurrent && state.current === null) state.reason = reason;
}

function retryLater(state: LinkState, now: number): void {
  state.failedAt = now;
  state.dialAt = now + state.wait;
  state.wait = Math.min(2 * state.wait, PEER_TIMING.retryMost);
}

function dialIfDue(state: LinkState, now: number, actions: LinkAction[]): void {
  const idle = !state.dialing && state.current === null && !state.connections.some((one) => one.dialed);
  if (state.dials !== true || !idle || now < state.dialAt) return;
  state.dialing = true;
  actions.push({ type: 'dial' });
}

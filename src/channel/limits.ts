/**
 * Every limit of the peer channel, in one place: what a peer gone mad, or somebody who only looks like it, can cost.
 */

export const PEER_LIMITS = {
  /** Longest message, bytes of JSON. */
  message: 4 * 1024 * 1024,
  /** Bytes that may wait to be sent; more is refused at once, not queued. */
  queue: 8 * 1024 * 1024,
  /** Calls of this node that wait for an answer. */
  calls: 64,
  /** Calls of the peer that are being worked on. */
  handlers: 16,
  /** Sockets at once; one that has not proven the key gives way to the next. */
  sockets: 8,
  /** Sockets that the kernel may hand over at once beyond that; one has to go for each. */
  socketsOver: 32,
  /** Bytes of a name, a version, an error text. */
  text: 512,
} as const;

/** Milliseconds. */
export const PEER_TIMING = {
  /** TLS and the upgrade to a WebSocket. */
  handshake: 3000,
  /** From the open WebSocket to the peer's hello. */
  hello: 3000,
  /** Between pings. */
  ping: 1000,
  /** Silence that ends a connection. */
  dead: 5000,
  /** First and longest wait before dialling again; doubled in between. */
  retry: 250,
  retryMost: 5000,
  /** Wait before dialling again while the peer shows signs of life elsewhere. */
  nudged: 1000,
  /** A connection that held this long makes the next wait short again. */
  stable: 5000,
  /** How often the machine looks at its clock. */
  tick: 250,
  /** Between tries to listen (the address may come later than the daemon). */
  listen: 1000,
  /** Longest time that a call may ask for. */
  call: 60_000,
} as const;

/** Version of the messages' frame; what a message means has a version of its own. */
export const PEER_FORMAT = 1;

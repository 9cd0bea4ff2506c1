/** Every limit of the feed in one place (docs/feed.md quotes these numbers). Sizes in bytes, times in milliseconds. */
export const LIMITS = {
  /** Events kept for readers that come back with `?since=`. */
  events: 4096,
  /** What those events may take together, whatever their number. */
  eventBytes: 4 * 1024 * 1024,
  /** A single event frame; a larger one is replaced by a note of the same number, so that the order has no gap. */
  eventFrame: 16 * 1024,
  /** A replay longer than this is answered with a snapshot: it would overrun the reader's own limit. */
  replayBytes: 512 * 1024,
  /** Events a snapshot may bring along (`?recent=N`). */
  recent: 200,
  /** WebSocket clients per listen address, those that are being closed included. */
  clients: 64,
  /** TCP connections per listen address: the clients and as many plain requests. */
  connections: 128,
  /** Of those, from one source (an IPv4 address, an IPv6 /64), at an address that others reach. */
  perSource: { clients: 16, connections: 32 },
  /** Connections that the kernel may hand over at once beyond `connections`; one has to go for each. */
  connectionsOver: 64,
  /** Unread bytes from which a reader gets no more samples. */
  sampleBacklog: 256 * 1024,
  /** Unread bytes from which a reader is closed with code 1013. */
  eventBacklog: 1024 * 1024,
  /** What a closed reader gets to read its last bytes before its connection is cut. */
  closeMs: 5000,
  sampleMs: 1000,
  /** Status frames that follow events are gathered for so long. */
  statusMs: 50,
  pingMs: 20_000,
  /** Control frames (ping, pong) a client may send per sample period. */
  controlFrames: 8,
  /** A client's own frame: nobody has anything to say, so only control frames (at most 125) pass. */
  clientFrame: 125,
  headerBytes: 8 * 1024,
  requestMs: 5000,
  idleMs: 10_000,
  /** Shortest token accepted for an address that others can reach. */
  tokenChars: 16,
} as const;

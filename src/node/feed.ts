/** The node's feed: made from the configuration, asking the node for what it says. */
import { readFileSync } from 'node:fs';
import type { FeedConfig } from '../config/types.ts';
import type { NodeStatus } from '../contract/status.ts';
import { sampleOf } from '../feed/sample.ts';
import { type Feed, startFeed } from '../feed/server.ts';

interface FeedPorts {
  status(): NodeStatus;
  /** How many states this node has put into its kernel; null: it does not sync. */
  inserted(): number | null;
  /** Why the node is not well; null: it is. */
  health(): string | null;
}

/** @throws Error in one line: address in use, token missing, a file of [feed] tls that cannot be read */
export function openFeed(feed: FeedConfig, page: string, ports: FeedPorts): Promise<Feed> {
  const { listen, token, tls } = feed;
  return startFeed({
    listen,
    token: token === null ? null : () => token.reveal().toString('utf8'),
    tls: tls === null ? null : { cert: readFileSync(tls.cert), key: readFileSync(tls.key) },
    getStatus: ports.status,
    getSample: () => sampleOf(ports.status(), ports.inserted()),
    getHealth: ports.health,
    page,
  });
}

/** A node's configuration with everything that must be known before anything is touched (node/prepare.ts makes it). */
import type { ResolvedVip } from '../config/resolve.ts';
import type { Config } from '../config/types.ts';
import type { LinkInfo } from '../kernel/links.ts';
import type { SharedDocument } from './document.ts';

export interface Prepared {
  config: Config;
  vips: ResolvedVip[];
  links: LinkInfo[];
  /** The shared parts that came from the peer and are in force instead of the file's; null: the file's own. */
  replicated: SharedDocument | null;
}

export type PrepareResult =
  | { ok: true; prepared: Prepared; warnings: string[] }
  | { ok: false; errors: string[]; warnings: string[] };

/** Is this a node that takes its shared configuration from another one? */
export function isReplica(config: Config): boolean {
  return config.replicate !== null && config.replicate.from !== config.node.name;
}

/** What `carpio check` knows of this machine. The checks are functions of this and of nothing else. */

import type { LoadResult } from '../../config/load.ts';
import type { KernelProbe, PathFacts, ProbeResult, RuleDrop } from '../../contract/kernel-probe.ts';
import type { PeerCheck } from '../../contract/peer-check.ts';
import type { NodeStatus } from '../../contract/status.ts';

export interface DeviceFacts {
  /** `up`, `down`, `unknown` …; `null` when it cannot be told here. */
  operstate: string | null;
  carrier: boolean | null;
  mtu: number | null;
  /** `address/prefix`; `null` when not known (a device that is not running tells none). */
  addresses: string[] | null;
  /** What makes the device one that cannot carry CARP as it is. Left out: nothing, or not known. */
  odd?: {
    /** Frames to groups are not taken (no IFF_MULTICAST). */
    noMulticast?: boolean;
    /** It is a bridge itself. */
    bridge?: boolean;
    /** The bridge or bond that it is a part of. */
    master?: string;
    wireless?: boolean;
    halfDuplex?: boolean;
  };
}

/** A file with a secret. */
export interface FileFacts {
  path: string;
  /** What it is, in words: `the pair's key`. */
  what: string;
  /** Permission bits. */
  mode: number;
}

/** What the running node says when it is asked. */
export interface NodeFacts {
  socket: string;
  status: NodeStatus;
  /** `null`: this node cannot ask its peer (an older version, no channel); `why` says so. */
  peer: PeerCheck | null;
  why: string | null;
}

export interface SystemFacts {
  uid: number;
  /** Effective; `null` when /proc does not tell. */
  capabilities: { net_admin: boolean; net_raw: boolean } | null;
  /** Release, as `uname -r`. */
  kernel: string;
  /** By dotted name (`net.ipv4.ip_forward`); a name that this kernel does not have is not there. */
  sysctls: Readonly<Record<string, number>>;
  devices: Readonly<Record<string, DeviceFacts>>;
  /** Path of the nft program, or `null`. */
  nft: string | null;
  configPath: string;
  /** Did the user name it? Nobody has to have one at the default place. */
  configNamed: boolean;
  config: LoadResult;
  /** `null` when they were not made. */
  probes: Record<ProbeName, ProbeResult> | null;
  files: readonly FileFacts[];
  /** Running programs that do the same work: `keepalived`. */
  rivals: readonly string[];
  /** `null`: no node runs here, or it cannot be asked. */
  node: NodeFacts | null;
  /** `null`: not tried (no peer named, or a node runs and measures itself). */
  path: PathFacts | null;
  /** Rules in the kernel that drop what the nodes send each other; left out: not known. */
  drops?: readonly RuleDrop[];
  /** ms since 1970 */
  clock: number;
}

/** The probes that answer yes or no. */
export type ProbeName = Exclude<keyof KernelProbe, 'syncPath' | 'drops'>;

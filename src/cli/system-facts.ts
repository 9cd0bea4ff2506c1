/** What `carpio check` knows of this machine. The checks are functions of this and of nothing else. */

import type { LoadResult } from '../config/load.ts';
import type { KernelProbe, ProbeResult } from './kernel-probe.ts';

export interface DeviceFacts {
  /** `up`, `down`, `unknown` …; `null` when it cannot be told here. */
  operstate: string | null;
  carrier: boolean | null;
  mtu: number | null;
  /** `address/prefix`; `null` when not known (a device that is not running tells none). */
  addresses: string[] | null;
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
  probes: Record<keyof KernelProbe, ProbeResult> | null;
}

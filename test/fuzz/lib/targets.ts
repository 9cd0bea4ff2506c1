/** All decoders that face a network, the kernel or a file. */
import { FILES } from './files.ts';
import { KERNEL } from './kernel.ts';
import { PACKETS } from './packets.ts';
import type { Target } from './target.ts';

export const TARGETS: readonly Target[] = [...PACKETS, ...KERNEL, ...FILES];

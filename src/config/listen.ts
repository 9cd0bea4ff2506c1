/** The feed's own reading of a listen address, without its exception. */

import { type ListenAddress, parseListen as parse } from '../feed/address.ts';

/** `127.0.0.1:8180`, `[::1]:8180`, `localhost:8180` or `unix:/path`; `null` for anything else. */
export function parseListen(text: string): ListenAddress | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

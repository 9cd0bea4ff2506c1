/** Where things are when nobody says otherwise. */

export const DEFAULT_CONFIG = '/etc/carpio/carpio.toml';
export const DEFAULT_CONTROL = '/run/carpio/control.sock';
export const DEFAULT_STATE_DIR = '/var/lib/carpio';
/** TCP port unless [sync] port says otherwise. */
export const DEFAULT_PEER_PORT = 8240;

/** Small values that shapes of the contract are made of. */

export type CarpState = 'INIT' | 'BACKUP' | 'MASTER';
export type NodeRole = 'master' | 'backup' | 'mixed' | 'init';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

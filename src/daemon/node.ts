/** `carpio run`: reads the configuration, finds the devices, runs the node until it is told to stop. */

import { syslogTarget } from '../config/listen.ts';
import { loadConfig } from '../config/load.ts';
import { notYet } from '../config/not-yet.ts';
import { formatError } from '../config/problem.ts';
import { missingDevices, resolveVips } from '../config/resolve.ts';
import type { LinkInfo } from '../kernel/links.ts';
import { Rtnetlink } from '../kernel/rtnetlink.ts';
import { hurryHelpers, makeRealTime } from '../kernel/scheduling.ts';
import { Recorder } from '../record/recorder.ts';
import { loadAssets } from './assets.ts';
import type { Prepared } from './carpio-node.ts';
import { CarpioNode } from './carpio-node.ts';
import type { LogFormat } from './log.ts';
import { Log } from './log.ts';
import { Syslog } from './syslog.ts';

export interface NodeOptions {
  configPath: string;
  logFormat: LogFormat;
  /** Where to record; null: nowhere. */
  recordPath: string | null;
}

/**
 * Runs until SIGTERM or SIGINT (hand over, then stop). SIGHUP reads the configuration again; one that does not pass its
 * checks changes nothing.
 * @returns the exit code: 0 stopped as told, 1 could not start or failed
 */
export async function runNode(options: NodeOptions): Promise<number> {
  const unnamed = new Log('carpio', options.logFormat);
  const prepared = prepare(options.configPath, unnamed);
  if (prepared === null) return 1;
  const log = new Log(prepared.config.node.name, options.logFormat);
  const { service } = prepared.config;
  const syslog = new Syslog(prepared.config.node.name, service.syslog.map(syslogTarget));
  log.copyTo((level, time, text) => syslog.say(level, time, text));
  preferElection(service.realtime, log);
  let node: CarpioNode | null = null;
  let recorder: Recorder | null = null;
  try {
    recorder = await startRecorder(options.recordPath, log, prepared.config.node.name, () => node?.recordState());
    node = new CarpioNode(prepared, loadAssets(), log, recorder);
    await node.start();
  } catch (error) {
    log.error(`cannot start: ${messageOf(error)}`);
    return 1;
  }
  const running = node;
  const stop = (): void => running.stop();
  const reload = (): void => {
    const next = prepare(options.configPath, log);
    if (next !== null) void running.reload(next);
    else log.error('reload refused, nothing was changed');
  };
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', reload);
  const code = await running.done;
  process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', reload);
  await recorder?.close();
  syslog.close();
  return code;
}

/** @throws Error when the file cannot be written */
async function startRecorder(
  path: string | null,
  log: Log,
  name: string,
  snapshots: () => void,
): Promise<Recorder | null> {
  if (path === null) return null;
  const recorder = new Recorder(path, name, { warn: (message) => log.warning(message), snapshots });
  try {
    await recorder.start();
  } catch (error) {
    throw new Error(`cannot record: ${messageOf(error)}`);
  }
  log.info(`recording what enters the state machines to ${path}`);
  return recorder;
}

// Before any thread or process is started: none of them inherits it.
function preferElection(priority: number, log: Log): void {
  if (priority === 0) return;
  hurryHelpers();
  try {
    makeRealTime(priority);
  } catch (error) {
    log.info(
      `no real-time priority for the election (${messageOf(error)}); [service] realtime = 0 does not ask for it`,
    );
  }
}

/** The configuration with everything that must be known before anything is touched; `null`: refused, and said why. */
function prepare(path: string, log: Log): Prepared | null {
  const loaded = loadConfig(path);
  if (!loaded.ok) {
    for (const error of loaded.errors) log.error(formatError(error));
    return null;
  }
  for (const warning of loaded.warnings) log.warning(formatError(warning));
  const { refused, said } = notYet(loaded.config);
  for (const warning of said) log.warning(formatError(warning));
  for (const error of refused) log.error(formatError(error));
  if (refused.length > 0) return null;
  let links: LinkInfo[];
  try {
    links = listLinks();
  } catch (error) {
    log.error(`cannot list the network devices: ${messageOf(error)}`);
    return null;
  }
  const addresses = links.map((link) => ({
    device: link.name,
    addresses: link.addresses.map((address) => `${address.address}/${address.prefix}`),
  }));
  const missing = missingDevices(loaded.config, addresses);
  if (missing.length > 0) {
    for (const error of missing) log.error(formatError(error));
    return null;
  }
  const resolved = resolveVips(loaded.config, addresses);
  if (!resolved.ok) {
    for (const error of resolved.errors) log.error(formatError(error));
    return null;
  }
  return { config: loaded.config, vips: resolved.vips, links };
}

function listLinks(): LinkInfo[] {
  const netlink = new Rtnetlink();
  try {
    const addresses = [...netlink.addresses()];
    return [...netlink.links()].map((link) => ({
      ...link,
      addresses: addresses.filter((address) => address.index === link.index),
    }));
  } finally {
    netlink.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

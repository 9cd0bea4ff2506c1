/** `carpio run`: reads the configuration, finds the devices, runs the node until it is told to stop. */

import { syslogTarget } from '../config/listen.ts';
import { messageOf } from '../contract/message-of.ts';
import { raiseFences } from '../kernel/fences.ts';
import { hurryHelpers, makeRealTime } from '../kernel/scheduling.ts';
import { Recorder } from '../recording/recorder.ts';
import { loadAssets } from './assets.ts';
import { CarpioNode } from './node.ts';
import { prepare, prepareAloud } from './prepare.ts';
import type { LogFormat } from './report/log.ts';
import { Log } from './report/log.ts';
import { Syslog } from './report/syslog.ts';

interface NodeOptions {
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
  const prepared = prepareAloud(options.configPath, unnamed);
  if (prepared === null) return 1;
  const log = new Log(prepared.config.node.name, options.logFormat);
  const { service } = prepared.config;
  const syslog = new Syslog(prepared.config.node.name, service.syslog.map(syslogTarget));
  log.copyTo((level, time, text) => syslog.say(level, time, text));
  // A reload that comes while the node starts must not end the process, as the signal by itself would.
  let reloadDue = false;
  const early = (): void => {
    reloadDue = true;
  };
  process.on('SIGHUP', early);
  fence(log);
  await preferElection(service.realtime, log);
  let node: CarpioNode | null = null;
  let recorder: Recorder | null = null;
  try {
    recorder = await startRecorder(options.recordPath, log, prepared.config.node.name, () => node?.recordState());
    node = new CarpioNode(prepared, loadAssets(), log, recorder, (shared) => prepare(options.configPath, shared));
    await node.start();
  } catch (error) {
    log.error(`cannot start: ${messageOf(error)}`);
    return 1;
  }
  const running = node;
  const stop = (): void => running.stop();
  const reload = (): void => {
    const next = prepareAloud(options.configPath, log, running.sharedForReload);
    if (next !== null) void running.reload(next);
    else log.error('reload refused, nothing was changed');
  };
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', reload).off('SIGHUP', early);
  if (reloadDue) reload();
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

// Before any program is started: they all inherit it.
function fence(log: Log): void {
  try {
    raiseFences();
  } catch (error) {
    log.info(`not all fences are up (${messageOf(error)})`);
  }
}

// Before any thread or process is started: none of them inherits it.
async function preferElection(priority: number, log: Log): Promise<void> {
  if (priority === 0) return;
  try {
    makeRealTime(priority);
    await hurryHelpers(priority - 1);
  } catch (error) {
    log.info(
      `no real-time priority for the election (${messageOf(error)}); [service] realtime = 0 does not ask for it`,
    );
  }
}

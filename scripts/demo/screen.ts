/** `npm start` at a terminal: both firewalls at a glance, and keys to do them harm. */
import { readFileSync } from 'node:fs';
import type { NodeStatus } from '../../src/contract/status.ts';
import { type Cable, FIREWALLS, type FirewallName, VIPS } from '../lab/plan.ts';
import type { Stage } from '../lab/stage.ts';
import type { ConnectionsReport, ProbeGlance } from '../lab/traffic.ts';
import { stateOf } from '../lab/watch.ts';

const ESC = '\x1b[';
const paint = (code: string, text: string): string => `${ESC}${code}m${text}${ESC}0m`;
const bold = (text: string): string => paint('1', text);
const dim = (text: string): string => paint('2', text);
const green = (text: string): string => paint('32', text);
const red = (text: string): string => paint('31', text);
const yellow = (text: string): string => paint('33', text);

const KEYS =
  "a b power fw-a, fw-b off/on   l w s cut/mend fw-a's LAN, WAN, sync cable   h hand over/back   c churn   q quit";
const REFRESH_MS = 250;
const LOG_LINES = 8;

export class Screen {
  readonly #stage: Stage;
  readonly #page: string;
  readonly #log: string[] = [];
  readonly #seen = new Map<FirewallName, number>();
  #connections: ConnectionsReport | null = null;
  #probe: ProbeGlance | null = null;
  #busy: string | null = null;
  #maintenance = false;
  #churn = false;

  constructor(stage: Stage, page: string) {
    this.#stage = stage;
    this.#page = page;
  }

  /** Runs until q or Ctrl-C. */
  async run(): Promise<void> {
    const { stdin, stdout } = process;
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.resume();
    stdout.write(`${ESC}?1049h${ESC}?25l`);
    try {
      await new Promise<void>((quit) => {
        stdin.on('data', (text: string) => {
          for (const key of text)
            if (key === 'q' || key === '\x03') quit();
            else void this.#press(key);
        });
        stdin.on('end', quit);
        const timer = setInterval(() => void this.#refresh(), REFRESH_MS);
        timer.unref();
      });
    } finally {
      stdout.write(`${ESC}?25h${ESC}?1049l`);
      stdin.setRawMode(false);
    }
  }

  async #press(key: string): Promise<void> {
    const act = this.#deed(key);
    if (!act) return;
    if (this.#busy) return this.#note(`still busy: ${this.#busy}`);
    const [what, run] = act;
    this.#busy = what;
    this.#note(what);
    try {
      await run();
    } catch (error) {
      this.#note(red((error as Error).message.split('\n')[0] ?? 'failed'));
    } finally {
      this.#busy = null;
    }
  }

  #deed(key: string): [string, () => Promise<unknown>] | null {
    const { lab, pair, traffic } = this.#stage;
    const power = (name: FirewallName): [string, () => Promise<unknown>] =>
      lab.off.has(name)
        ? [`power on ${name}`, () => pair[name].powerOn()]
        : [`power off ${name}`, () => pair[name].powerOff()];
    const cable = (which: Cable): [string, () => Promise<unknown>] =>
      lab.isCut('fw-a', which)
        ? [`mend ${which} of fw-a`, () => lab.heal('fw-a', which)]
        : [`cut ${which} of fw-a`, () => lab.cut('fw-a', which)];
    const cables: Record<string, Cable> = { l: 'lan', w: 'wan', s: 'sync' };
    if (key === 'a') return power('fw-a');
    if (key === 'b') return power('fw-b');
    if (cables[key]) return cable(cables[key]);
    if (key === 'h')
      return [this.#maintenance ? 'maintenance off on fw-a' : 'maintenance on fw-a', () => this.#handOver()];
    if (key !== 'c') return null;
    this.#churn = !this.#churn;
    return [
      this.#churn ? 'connections come and go' : 'no more new connections',
      () => traffic.churn.ask(this.#churn ? 'start' : 'stop'),
    ];
  }

  async #handOver(): Promise<void> {
    const on = !this.#maintenance;
    const answer = await this.#stage.pair['fw-a'].ask<{ done: boolean; reason: string }>('maintenance', { on });
    if (!answer.ok) throw new Error(answer.error);
    this.#note(answer.result.reason);
    if (!answer.result.done) return;
    this.#maintenance = !this.#maintenance;
  }

  #note(text: string): void {
    this.#log.push(`${dim(new Date().toTimeString().slice(0, 8))} ${text}`);
    this.#log.splice(0, Math.max(0, this.#log.length - LOG_LINES));
  }

  async #refresh(): Promise<void> {
    const { traffic } = this.#stage;
    try {
      [this.#connections, this.#probe] = await Promise.all([
        traffic.connections.ask<ConnectionsReport>('report'),
        traffic.probe.ask<ProbeGlance>('glance'),
      ]);
    } catch {
      // shown with the figures of a moment ago
    }
    for (const name of FIREWALLS) this.#readLog(name);
    const lines = this.#paint();
    process.stdout.write(`${ESC}H${lines.map((line) => `${line}${ESC}K`).join('\r\n')}${ESC}J`);
  }

  /** Role changes from the node's own log. */
  #readLog(name: FirewallName): void {
    let text = '';
    try {
      text = readFileSync(this.#stage.pair[name].paths.log, 'utf8');
    } catch {
      return;
    }
    const from = this.#seen.get(name) ?? text.length;
    const end = text.lastIndexOf('\n') + 1;
    this.#seen.set(name, end);
    for (const line of text.slice(from, end).split('\n').filter(Boolean)) this.#note(`${bold(name)} ${logText(line)}`);
  }

  #paint(): string[] {
    const { lab, watch } = this.#stage;
    const lines = [`${bold('carpio')}  two firewalls, one address   ${dim(this.#page)}`, ''];
    for (const name of FIREWALLS) lines.push(...nodeLines(name, watch.latest[name], lab.off.has(name)), '');
    const { alive = 0, count = 0, silent = 0 } = this.#connections ?? {};
    const all = alive === count && silent === 0 ? green : alive === count ? yellow : red;
    lines.push(`connections ${all(`${alive} of ${count} alive`)}${silent ? yellow(`, ${silent} silent`) : ''}`);
    const silence = this.#probe?.silent_ms ?? 0;
    const probes = `probes lost ${this.#probe?.lost ?? '-'} of ${this.#probe?.sent ?? '-'}`;
    lines.push(`${probes}${silence > 100 ? red(`, silent for ${silence.toFixed(0)} ms`) : ''}`);
    for (const violation of watch.violations) lines.push(red(violation));
    return [...lines, '', ...this.#log, '', dim(KEYS), this.#busy ? yellow(this.#busy) : ''];
  }
}

function nodeLines(name: FirewallName, status: NodeStatus | null, off: boolean): string[] {
  if (!status) return [`${bold(name)}  ${off ? red('powered off') : yellow('does not answer')}`, '', ''];
  const role = status.role === 'master' ? green(bold('MASTER')) : yellow(status.role.toUpperCase());
  const vips = Object.entries(VIPS).map(([part, { vhid }]) => `${part} vhid ${vhid} ${stateOf(status, vhid) ?? '-'}`);
  const reasons = status.carp.demotion.reasons.map((one) => `${one.reason} ${one.weight}`).join(', ');
  return [
    `${bold(name)}  ${role}  ${dim(vips.join('   '))}${reasons ? `  ${yellow(`demotion: ${reasons}`)}` : ''}`,
    ...syncLines(status),
  ];
}

function syncLines(status: NodeStatus): string[] {
  const { sync } = status;
  if (!sync) return ['  no state sync', ''];
  const { total, own, mirrored, kernel } = sync.states;
  const age = sync.checked_ms_ago === null ? '' : `, ${(sync.checked_ms_ago / 1000).toFixed(1)} s ago`;
  const step =
    sync.in_step === true
      ? green(`in step${age}`)
      : yellow(sync.in_step === false ? `not in step: ${sync.in_step_reason}` : `not known: ${sync.in_step_reason}`);
  return [`  states ${total}  own ${own}  mirrored ${mirrored}  in the kernel ${kernel}`, `  ${step}`];
}

function logText(line: string): string {
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    return String(entry.message ?? line).slice(0, 150);
  } catch {
    return line.slice(0, 150);
  }
}

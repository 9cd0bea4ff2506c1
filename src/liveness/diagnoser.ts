/** Notices what is wrong between the hosts of a vhid and says it once, by name; and once more when it is over. */

import type { ResolvedVip } from '../config/resolve.ts';
import { type VhidKey, vhidKey } from '../contract/vhid-key.ts';
import type { Diagnosis, Sender } from './diagnose.ts';
import { differentLists, explainBadAuth, explainOwnPackets, explainStranger } from './diagnose.ts';
import type { ReceivedReport } from './peer-report.ts';

/** A complaint that was not repeated for this long is over, ms. */
const OVER = 30_000;
/** So many own packets within `OVER` are no accident. */
const REFLECTED = 3;
const MOST_COMPLAINTS = 256;

interface DiagnoserPorts {
  /** `over`: what was told before has ended. */
  tell(vip: { vhid: number; interface: string }, diagnosis: Diagnosis, over: boolean): void;
  vips(): readonly ResolvedVip[];
}

interface Complaint {
  vip: { vhid: number; interface: string };
  diagnosis: Diagnosis;
  at: number;
  /** Stands until it is taken back, not until it is no longer repeated. */
  standing: boolean;
}

export class Diagnoser {
  private readonly ports: DiagnoserPorts;
  private readonly complaints = new Map<string, Complaint>();
  private readonly reflected = new Map<string, { count: number; at: number }>();
  private peer: ReceivedReport | null = null;
  private lastLists = '';
  private readonly timer: NodeJS.Timeout;

  constructor(ports: DiagnoserPorts) {
    this.ports = ports;
    this.timer = setInterval(() => this.expire(), OVER / 6);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** What the peer says of itself. It is remembered while the sync link is silent: configurations change rarely. */
  onReport(received: ReceivedReport): void {
    this.peer = received;
    const text = JSON.stringify([received.lists, this.ports.vips().map((vip) => [vhidKey(vip), vip.addresses])]);
    if (text === this.lastLists) return;
    this.lastLists = text;
    for (const vip of this.ports.vips()) this.compareLists(vip);
  }

  onRefused(counter: string, role: string, vhid: number | null, from: string | null): void {
    const vip = this.find(role, vhid);
    if (vip === undefined || from === null) return;
    if (counter === 'badauth') {
      const diagnosis = explainBadAuth(this.sender(vip, from));
      // The peer speaks over two families, and it is one trouble.
      this.complain(vip, diagnosis, diagnosis.what === 'foreign_user' ? from : '');
    }
    if (counter !== 'ownpackets') return;
    const key = vhidKey(vip);
    const known = this.reflected.get(key);
    const now = performance.now();
    const count = known !== undefined && now - known.at < OVER ? known.count + 1 : 1;
    this.reflected.set(key, { count, at: now });
    if (count >= REFLECTED) this.complain(vip, explainOwnPackets(vip.vhid, role), '');
  }

  /** A valid advertisement. */
  onAdvert(key: VhidKey, from: string): void {
    const vip = this.ports.vips().find((one) => vhidKey(one) === key);
    const diagnosis = vip === undefined ? null : explainStranger(this.sender(vip, from));
    if (vip !== undefined && diagnosis !== null) this.complain(vip, diagnosis, from);
  }

  complain(vip: { vhid: number; interface: string }, diagnosis: Diagnosis, about: string, standing = false): void {
    const name = `${vhidKey(vip)} ${diagnosis.what} ${about}`;
    const known = this.complaints.get(name);
    const at = performance.now();
    if (known === undefined && this.complaints.size >= MOST_COMPLAINTS) return;
    const changed = standing && known?.diagnosis.reason !== diagnosis.reason;
    const kept = known !== undefined && !changed ? known.diagnosis : diagnosis;
    this.complaints.set(name, { vip, diagnosis: kept, at, standing: standing || known?.standing === true });
    if (known === undefined || changed) this.ports.tell(vip, diagnosis, false);
  }

  takeBack(vip: { vhid: number; interface: string }, what: Diagnosis['what'], about: string): void {
    const name = `${vhidKey(vip)} ${what} ${about}`;
    const known = this.complaints.get(name);
    if (known === undefined) return;
    this.complaints.delete(name);
    this.ports.tell(known.vip, known.diagnosis, true);
  }

  private compareLists(vip: ResolvedVip): void {
    const { lists } = this.peer ?? { lists: null };
    if (lists === null) return;
    const theirs = lists[vhidKey(vip)];
    const { vhid } = vip;
    const reason = `the peer has no vhid ${vhid} on ${vip.interface}: nobody would take it over`;
    if (theirs === undefined) this.complain(vip, { what: 'missing_vhid', reason }, '', true);
    else this.takeBack(vip, 'missing_vhid', '');
    const different = theirs === undefined ? null : differentLists(vip.addresses, theirs);
    if (different === null) this.takeBack(vip, 'address_list', '');
    else this.complain(vip, { what: 'address_list', reason: `vhid ${vhid}: ${different}` }, '', true);
  }

  private sender(vip: ResolvedVip, from: string): Sender {
    const theirs = this.peer?.lists?.[vhidKey(vip)];
    const different = theirs === undefined ? null : differentLists(vip.addresses, theirs);
    const lists = different === null ? null : `vhid ${vip.vhid}: ${different}`;
    return { from, vhid: vip.vhid, interface: vip.interface, peer: this.peer?.own[vip.interface] ?? null, lists };
  }

  private find(role: string, vhid: number | null): ResolvedVip | undefined {
    return this.ports.vips().find((vip) => vip.interface === role && vip.vhid === vhid);
  }

  private expire(): void {
    const now = performance.now();
    const present = new Set(this.ports.vips().map(vhidKey));
    for (const [name, { vip, diagnosis, at, standing }] of this.complaints) {
      // A reload that takes a vhid away ends what was wrong with it.
      if (present.has(vhidKey(vip)) && (standing || now - at < OVER)) continue;
      this.complaints.delete(name);
      this.ports.tell(vip, diagnosis, true);
    }
  }
}

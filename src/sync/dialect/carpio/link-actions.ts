/**
 * The session machine's decisions about the link, carried out: HELLOs, sessions and their keys, heartbeats, sending
 * again.
 */
import type { SyncNotice } from '../../../contract/sync-notice.ts';
import type { Repairer } from '../../repair/runner.ts';
import type { LinkAction } from '../../session/state.ts';
import { noticeOf } from '../../session/words.ts';
import type { Engine } from '../../table/engine.ts';
import type { Tasks } from '../../table/tasks.ts';
import type { Departures } from './departures.ts';
import type { Inbox } from './inbox.ts';
import type { Outbox } from './outbox.ts';
import type { Reports } from './reports.ts';

interface LinkActionParts {
  readonly engine: Engine;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly departures: Departures;
  readonly reports: Reports;
  readonly repairer: Repairer;
  readonly tasks: Tasks;
  /** Does the control thread turn? Without it the last report is no word of a living node, and is not repeated. */
  controlTurns(): boolean;
  count(name: string): void;
  notice(notice: SyncNotice): void;
}

export class LinkActions {
  private readonly parts: LinkActionParts;

  constructor(parts: LinkActionParts) {
    this.parts = parts;
  }

  perform(action: LinkAction): void {
    const { outbox, reports, controlTurns, count, notice } = this.parts;
    switch (action.type) {
      case 'sendHello':
        outbox.hello();
        break;
      case 'openSession':
        this.openSession();
        break;
      case 'closeSession':
        this.closeSession();
        break;
      case 'resend':
        outbox.resend(action.from, action.to);
        break;
      case 'sendBeat':
        reports.beat(action.report && controlTurns());
        break;
      case 'refuse':
        count(action.cause);
        break;
      case 'event':
        notice(noticeOf(action.event));
        break;
    }
  }

  /** The fingerprints' key is the session's: sums of two sessions, or of two pairs, are never comparable. */
  private openSession(): void {
    const { engine, inbox, outbox, repairer, tasks } = this.parts;
    tasks.end('bulkEnd');
    const secret = inbox.sessionSecret();
    inbox.openSession(secret);
    const key = outbox.openSession(secret);
    engine.setFingerprintKey(key);
    repairer.reset(key);
  }

  private closeSession(): void {
    const { inbox, outbox, departures, repairer, tasks } = this.parts;
    outbox.close();
    inbox.close();
    departures.close();
    repairer.reset(Buffer.alloc(16));
    tasks.end('bulkEnd');
  }
}

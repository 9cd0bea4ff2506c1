/**
 * The session machine's decisions about the table, carried out: owners, the sweeps that follow, digests and bulks. Work
 * that grows with the table is done in slices (table/tasks.ts).
 */
import type { Repairer } from '../../repair/runner.ts';
import type { RepairAction } from '../../repair/state.ts';
import { undecided } from '../../session/ownership.ts';
import type { SyncEvent, SyncState, TableAction } from '../../session/state.ts';
import type { Engine } from '../../table/engine.ts';
import type { Tasks } from '../../table/tasks.ts';
import { encodeAdopt, encodeDigest, encodeVerdict, MSG, message } from '../../wire/datagram.ts';
import type { Outbox } from './outbox.ts';

/** One slice of background work visits so many states. */
const SLICE = 2000;

interface TableActionParts {
  readonly engine: Engine;
  readonly state: SyncState;
  readonly outbox: Outbox;
  readonly repairer: Repairer;
  readonly tasks: Tasks;
  step(event: SyncEvent): void;
  /** The window allows more. */
  fill(): void;
}

type OwnerAction = Extract<
  TableAction,
  { type: 'disownPeer' | 'adoptPeer' | 'adoptUnclaimed' | 'yieldOwn' | 'dropUnclaimed' }
>;

export class TableActions {
  private readonly parts: TableActionParts;

  constructor(parts: TableActionParts) {
    this.parts = parts;
  }

  perform(action: TableAction | RepairAction): void {
    const { engine, state, outbox, tasks } = this.parts;
    switch (action.type) {
      case 'sendDigest':
        this.sendDigest();
        break;
      case 'sendAdopt':
        outbox.push(encodeAdopt(action.id));
        break;
      case 'sendVerdict':
        outbox.push(encodeVerdict(action.verdict));
        break;
      case 'sendResync':
        outbox.push(message(MSG.RESYNC, Buffer.alloc(0)));
        break;
      case 'beginBulk':
        outbox.push(message(MSG.BULK_BEGIN, Buffer.alloc(0)));
        engine.bulkBegin();
        break;
      case 'peerBulkBegin':
        tasks.end('bulkEnd');
        engine.peerBulkBegin();
        break;
      case 'prefer':
        engine.setPreferPeer(action.peer, undecided(state, outbox.now));
        // What waited for the roles waits no longer.
        if (engine.owedAnswers() > 0) this.sweep();
        break;
      default:
        this.performOnOwners(action);
    }
  }

  /** Walks the table: after a change of owners, and to try again what the kernel has refused. */
  sweep(): void {
    const { engine, tasks } = this.parts;
    engine.sweepBegin();
    tasks.begin('sweep', () => engine.sweep(SLICE) !== 0);
  }

  /** All states of the peer have arrived: drops the mirrored ones that it did not name. */
  endBulk(): void {
    const { engine, tasks, step } = this.parts;
    tasks.begin(
      'bulkEnd',
      () => engine.peerBulkEnd(SLICE) !== 0,
      () => step({ type: 'bulkEnd' }),
    );
  }

  private performOnOwners(action: OwnerAction | RepairAction): void {
    const { engine, repairer, tasks, fill, step } = this.parts;
    switch (action.type) {
      case 'disownPeer':
        engine.disownPeer();
        this.sweep();
        break;
      case 'adoptPeer':
        engine.adoptPeer();
        this.sweep();
        break;
      case 'adoptUnclaimed':
        engine.adoptUnclaimed();
        this.sweep();
        break;
      case 'yieldOwn':
        engine.yieldOwn();
        this.sweep();
        break;
      case 'dropUnclaimed':
        if (tasks.has('drop')) break;
        // The peer is in step as soon as it learns that no unclaimed state is left.
        tasks.begin(
          'drop',
          () => engine.unclaimedDrop(SLICE) !== 0,
          () => step({ type: 'verify' }),
        );
        break;
      default:
        repairer.perform(action);
        // BEGIN describes this point of the stream, so it leaves at once.
        if (action.type === 'beginRepair') fill();
    }
  }

  // The machine asks for it only when nothing waits to be sent (session/ready.ts), so the digest leaves at once and
  // describes exactly this point of the stream.
  private sendDigest(): void {
    const { engine, state, outbox, step, fill } = this.parts;
    if (engine.dirtyCount() + engine.owedAnswers() > 0) {
      step({ type: 'verify' });
      return;
    }
    const { count, sum } = engine.digest('own');
    const { adoptId, rxSeq } = state;
    outbox.push(encodeDigest({ count, sum, adoptId, applied: rxSeq, unclaimed: engine.countOf('unclaimed') }));
    fill();
  }
}

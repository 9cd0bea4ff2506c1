/**
 * The machines that can be recorded: what enters each in one step, and how a step is run again. The machines are the
 * production ones; nothing of them is copied here. Pure.
 */
import { step } from '../carp/machine.ts';
import type { GroupEvent, GroupState } from '../carp/types.ts';
import type { MachineName } from '../contract/tap.ts';
import type { ProbeEvent, ProbeState } from '../liveness/probe/machine.ts';
import { stepProbe } from '../liveness/probe/machine.ts';
import type { Judged, MaskState } from '../liveness/unmask/machine.ts';
import { expireMask, maskedAdvert, maskReport } from '../liveness/unmask/machine.ts';
import type { MaskStep } from '../liveness/unmask/recorded.ts';
import { stepSync } from '../sync/session/machine.ts';
import type { Context, SyncEvent, SyncState } from '../sync/session/state.ts';

/**
 * What enters a machine in one step. Times are in the machine's own unit: milliseconds for `sync`, microseconds for the
 * others.
 */
interface Inputs {
  group: { event: GroupEvent; now: number };
  sync: { event: SyncEvent; context: Context };
  probe: { event: ProbeEvent; now: number };
  mask: MaskStep;
}

export const MACHINES: readonly MachineName[] = ['group', 'sync', 'probe', 'mask'];

/** Runs one step; the state is changed in place. @returns the actions */
export function runMachine(name: MachineName, state: unknown, input: unknown): unknown[] {
  switch (name) {
    case 'group': {
      const { event, now } = input as Inputs['group'];
      return step(state as GroupState, event, now).actions;
    }
    case 'sync': {
      const { event, context } = input as Inputs['sync'];
      return stepSync(state as SyncState, event, context);
    }
    case 'probe': {
      const { event, now } = input as Inputs['probe'];
      return stepProbe(state as ProbeState, event, now);
    }
    case 'mask':
      return runMask(state as MaskState, input as Inputs['mask']);
  }
}

function runMask(state: MaskState, input: Inputs['mask']): Judged[] {
  switch (input.call) {
    case 'advert':
      return maskedAdvert(state, input.masked, input.now);
    case 'report':
      return maskReport(state, input.report, input.now);
    case 'expire':
      return expireMask(state, input.now);
  }
}

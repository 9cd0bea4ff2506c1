/// <reference lib="dom" />
/** The middle of the page: are both boxes in step, since when is that known, and how is the link between them. */
import type { SyncStatus } from '../../contract/status.ts';
import { element, setData, setText } from './dom.ts';
import type { StepView } from './view.ts';
import { count } from './words.ts';

export interface Step {
  show(view: StepView, sync: SyncStatus | null): void;
}

export function makeStep(root: HTMLElement): Step {
  const beam = element('div', 'beam', element('span', 'knot'));
  beam.setAttribute('aria-hidden', 'true');
  const text = element('p', 'answer');
  const states = element('p', 'amount');
  const age = element('p', 'age');
  const reason = element('p', 'reason');
  const values = ['link', 'lag', 'repairs', 'overruns', 'refused'].map((name) => {
    const value = element('dd', '');
    return { name, value, row: element('div', '', element('dt', '', name), value) };
  });
  const facts = element('dl', 'facts', ...values.map(({ row }) => row));
  root.append(beam, text, states, age, reason, facts);

  const show = (view: StepView, sync: SyncStatus | null): void => {
    setData(root, 'answer', view.answer);
    setText(text, view.text);
    setText(states, view.states === null ? '' : `${count(view.states)} states`);
    setText(age, view.age ?? '');
    setText(reason, view.reason ?? '');
    facts.hidden = sync === null;
    if (sync === null) return;
    const told = linkFacts(sync);
    values.forEach(({ name, value }) => {
      setText(value, told[name] ?? '');
    });
  };
  return { show };
}

function linkFacts(sync: SyncStatus): Record<string, string> {
  const refused = Object.values(sync.refused).reduce((sum, n) => sum + n, 0);
  return {
    link: `${sync.dialect}, ${sync.sealed ? 'sealed' : 'OPEN'}`,
    lag: sync.lag_ms === null ? '–' : `${sync.lag_ms.toFixed(1)} ms`,
    repairs: count(sync.repairs),
    overruns: count(sync.overruns),
    refused: count(refused),
  };
}

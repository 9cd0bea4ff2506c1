/** Fills in the answers that the options did not give: asks at a terminal, else says which options are missing. */

import { type Answers, answerTrouble, type Key, QUESTIONS, type Question } from './plan.ts';

/** Asks one line; `null`: the input has ended. */
type Ask = (prompt: string) => Promise<string | null>;

const MAX_TRIES = 5;

/** The options that are needed and not there, as they are written on a command line. */
export function missing(answers: Answers): string[] {
  return QUESTIONS.filter(({ key, needed }) => needed && !answers[key]).map(
    ({ key, example }) => `--${key} ${example}`,
  );
}

async function askOne(question: Question, ask: Ask, say: (line: string) => void): Promise<string | null> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const line = await ask(`${question.text}, as in ${question.example}: `);
    if (line === null) return null;
    const answer = line.trim();
    if (answer === '' && !question.needed) return '';
    const trouble = answer === '' ? 'this one is needed' : answerTrouble(question.key, answer);
    if (trouble === null) return answer;
    say(trouble);
  }
  return null;
}

/** Asks for each answer that is not there. @returns null when the person gave up */
export async function interview(given: Answers, ask: Ask, say: (line: string) => void): Promise<Answers | null> {
  const answers: Answers = { ...given };
  const set = (key: Key, value: string) => {
    answers[key] = value;
  };
  for (const question of QUESTIONS) {
    if (answers[question.key] !== undefined) continue;
    // The peer's address is on the sync link; without that link there is nothing to ask.
    if (question.key === 'peer' && !answers.sync) continue;
    const answer = await askOne(question, ask, say);
    if (answer === null) return null;
    set(question.key, answer);
  }
  return answers;
}

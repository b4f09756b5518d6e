import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  FAILED_STATUSES,
  INITIAL_STATUSES,
  isEnded,
  JOB_STATUSES,
  MOVES,
  PARK_REASONS,
  retryTarget,
  stepOf,
} from '../../src/domain/job-state.ts';
import { ROOT } from '../rules/sources.ts';

function statesPage(): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const arrows = JOB_STATUSES.flatMap((from) =>
    (MOVES[from].to as readonly string[]).map((to) => `  ${from} --> ${to}`),
  );
  return [
    '# States of a job',
    '',
    'Made from `MOVES` in `src/domain/job-state.ts` by `npm run docs`; do not edit. A test fails when this page is stale.',
    '',
    row(['status', 'step', 'true when a job is here', 'who moves it on', 'where to']),
    row(['---', '---', '---', '---', '---']),
    ...JOB_STATUSES.map((status) => {
      const { meaning, mover, to } = MOVES[status];
      return row([
        `\`${status}\``,
        stepOf(status),
        meaning,
        mover,
        to.map((target) => `\`${target}\``).join(' ') || '–',
      ]);
    }),
    '',
    `A job begins as ${INITIAL_STATUSES.map((status) => `\`${status}\``).join(' or ')}.`,
    `${JOB_STATUSES.filter((status) => isEnded(status) && MOVES[status].to.length === 0)
      .map((status) => `\`${status}\``)
      .join(', ')} are final.`,
    `\`tvdb retry\` resumes ${FAILED_STATUSES.map((status) => `\`${status}\` at \`${retryTarget(status)}\``).join(', ')}.`,
    '',
    'Every status is re-entrant: a crash in any of them leaves a job that the next claim runs again.',
    '',
    '## Waiting',
    '',
    'Waiting is not a status. A job that cannot go on now is parked with a reason, a time and a sentence, shown by `tvdb status`:',
    `${PARK_REASONS.map((reason) => `\`${reason}\``).join(', ')}. A job parked without a time waits for \`tvdb retry\`.`,
    '',
    '## Moves',
    '',
    '```mermaid',
    'stateDiagram-v2',
    ...INITIAL_STATUSES.map((status) => `  [*] --> ${status}`),
    ...arrows,
    '```',
    '',
  ].join('\n');
}

describe('docs/STATES.md', () => {
  it('is what MOVES makes of it', async () => {
    await expect(statesPage()).toMatchFileSnapshot(join(ROOT, 'docs/STATES.md'));
  });
});

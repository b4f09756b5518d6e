import { describe, expect, it } from 'vitest';
import { lookFor } from '../../src/pipeline/look-for-parse.ts';
import type { StageContext } from '../../src/pipeline/stage.ts';
import type { ParseService } from '../../src/services/parse/port.ts';
import { searchWindow } from '../../src/store/attempts.ts';
import type { AttemptRow, JobRow } from '../../src/store/schema.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SERVER_NOW = Date.UTC(2026, 10, 23, 12);

/** Looks until it is known what became of a parse that the service made at `SERVER_NOW`, with a clock wrong by `skew`. */
async function lookUntilKnown(skew: number, isThere = true) {
  let now = SERVER_NOW + skew;
  const attempt = { attempt_id: 'a-1', sent: now, started_at: now } as AttemptRow;
  const windows: { from: number; to: number }[] = [];
  const service = {
    origin: 'real',
    runsHere: false,
    async findByAttempt(_id, window) {
      windows.push(window);
      return isThere && window.from <= SERVER_NOW && SERVER_NOW <= window.to ? ['pjb-1'] : [];
    },
  } as Partial<ParseService> as ParseService;
  const context = {
    clock: { now: () => now },
    settings: { UNKNOWN_OUTCOME_WINDOW: 15 * MINUTE },
    abort: new AbortController().signal,
    record: async () => {},
  } as unknown as StageContext;
  for (;;) {
    const looked = await lookFor({ job_id: 'j-1' } as JobRow, attempt, service, context);
    if (!('kind' in looked)) return { looked, windows };
    now = (looked as { until: number }).until;
  }
}

describe('T04 a parse whose answer was lost', () => {
  it.each([0, 10 * MINUTE, -10 * MINUTE, 3 * HOUR, -14 * HOUR, 25 * HOUR])(
    'is found, and not paid again, with a clock that is wrong by %i ms',
    async (skew) => {
      expect((await lookUntilKnown(skew)).looked).toEqual({ remoteId: 'pjb-1' });
    },
  );

  it('is proven absent by the last look alone, which is the only wide one', async () => {
    const { looked, windows } = await lookUntilKnown(0, false);
    expect(looked).toEqual({ absent: expect.any(String) });
    const widths = windows.map(({ from, to }) => (to - from > HOUR ? 'wide' : 'near'));
    expect(widths.slice(-2)).toEqual(['near', 'wide']);
    expect(widths.filter((width) => width === 'wide')).toHaveLength(1);
  });

  it('is looked for around the time it was sent, or at first around the time it was meant to be', () => {
    expect(searchWindow({ sent: null, started_at: HOUR }, 2 * HOUR)).toEqual({
      from: HOUR - 2 * MINUTE,
      to: 2 * HOUR + 2 * MINUTE,
    });
  });
});

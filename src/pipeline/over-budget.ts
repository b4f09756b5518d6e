/** What a job does when money is refused: wait for the next window, fall back where that is wanted, or end the run. */
import type { TvdbError } from '../base/errors.ts';
import { stepOf } from '../domain/job-state.ts';
import type { JobRow } from '../store/schema.ts';
import { fallbackOf } from './fall-back.ts';
import type { Outcome, StageContext, StageEvent } from './stage.ts';

/** Whether an error says that money was refused on this machine, before anything left. */
export function isBudgetStop({ code }: TvdbError): boolean {
  return code === 'E201' || code === 'E202' || code === 'E204';
}

/**
 * The outcome of a refused hold. The cap of a run parks nothing: the run ends, and a later one may take the job up. A job
 * whose own consent is used up, and a budget that an overrun has stopped, wait for people.
 */
export async function overBudget(job: JobRow, error: TvdbError, context: StageContext): Promise<Outcome> {
  const { clock, settings } = context;
  const now = clock.now();
  const { scope, window, resets_at: resets } = error.facts;
  const refused = (until: number | null): Outcome => ({
    kind: 'park',
    reason: error.code === 'E202' ? 'held_by_user' : 'budget',
    until,
    note: error.message,
    event: refusal(error, until),
  });
  if (error.code === 'E201' && (scope === 'run' || window === 'run')) {
    context.capReached(error);
    return refused(now);
  }
  if (settings.HYBRID_ON_BUDGET === 'mock' && error.code !== 'E202') {
    const service = stepOf(job.status) === 'parse' ? 'llamaparse' : 'openai';
    const fallback = await fallbackOf(job, service, error, context);
    if (fallback !== null) return fallback;
  }
  return refused(error.code === 'E201' && typeof resets === 'number' ? resets : null);
}

function refusal({ label, message, facts }: TvdbError, until: number | null): StageEvent {
  return { code: 'BUDGET_REFUSED', severity: 'warn', data: { ...facts, error: label, note: message, until } };
}

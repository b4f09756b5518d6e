/** Gives money back that is held for a request which provably never left, where no worker will do it any more. */
import { TvdbError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import { attemptById } from '../store/attempts.ts';
import { findHold } from '../store/holds.ts';
import { jobById } from '../store/jobs/find.ts';
import { wakeBudgetWaiters } from '../store/jobs/wake.ts';
import { deadWorkers } from '../store/workers.ts';
import { endAttempt } from './attempt-money.ts';
import type { PipelineDeps } from './stage.ts';

/**
 * Releases the hold of an attempt that was not sent, and ends the attempt with it: a worker that takes the job up makes a
 * new one. Returns the sum in nano-USD. Throws E010 with what would resolve it for a hold that has ended, one whose request
 * left (it may be billed), and one a living worker has in hand.
 */
export async function releaseHold(deps: PipelineDeps, attemptId: string): Promise<number> {
  const { store, clock } = deps;
  return store.write(async (trx) => {
    const [held, attempt] = [await findHold(trx, attemptId), await attemptById(trx, attemptId)];
    const refuse = (why: string, fix: string, commands: string[] = []) =>
      new TvdbError('E010', {
        message: `The hold ${shortId(attemptId)} cannot be released`,
        why,
        fix,
        commands,
        chargedNanoUsd: 0,
        facts: { attempt_id: attemptId },
      });
    if (held === undefined || held.state === 'settled' || held.state === 'released')
      throw refuse(held === undefined ? 'there is no such hold' : `it has ended: ${held.state}`, '', [
        'tvdb costs holds',
      ]);
    if (attempt === undefined)
      throw refuse('its request is not on record, so that nothing proves that it was not sent', '', [
        'tvdb costs verify',
      ]);
    if (held.state === 'unknown' || attempt.sent !== null) {
      throw refuse(
        'its request left this machine and may be billed',
        held.service === 'llamaparse'
          ? 'Ask the service what it billed.'
          : 'Compare with the usage export of the service.',
        [held.service === 'llamaparse' ? 'tvdb costs reconcile' : 'tvdb costs reconcile --provider-log usage.json'],
      );
    }
    const job = await jobById(trx, attempt.job_id);
    const alive =
      job !== undefined &&
      job.lease_owner !== null &&
      (job.lease_until ?? 0) > clock.now() &&
      !(await deadWorkers(trx)).includes(job.lease_owner);
    if (alive) throw refuse('a worker has its job in hand and may send it', 'Wait until the job ends or rests.');
    await endAttempt(trx, attemptId, { outcome: 'failed' }, deps, { because: 'not_sent' });
    await wakeBudgetWaiters(trx, clock.now());
    return held.amount;
  });
}

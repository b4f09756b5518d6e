/** An embedding request that may have arrived cannot be looked for: it is sent once more after a wait, then people decide. */
import { TvdbError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import { embeddingsInDoubt } from '../store/attempts.ts';
import type { JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { fallbackOf } from './fall-back.ts';
import type { Outcome, StageContext } from './stage.ts';

/**
 * What a job has to do about requests of its own whose outcome nobody knows; `null` when it may ask (again). Requests of a
 * process that died count as unknown too. After two in a row, each perhaps paid, the job falls back where its mode allows
 * that, and otherwise rests until the user says `tvdb retry`.
 */
export async function afterUnknownEmbedding(job: JobRow, context: StageContext): Promise<Outcome | null> {
  const { store, clock, settings } = context;
  if (job.embed_origin !== 'real') return null;
  const doubts = await embeddingsInDoubt(store.db, job.job_id);
  const [newest] = doubts;
  if (newest === undefined) return null;
  const dead = doubts.filter(({ outcome }) => outcome === 'sent');
  for (const { attempt_id: attemptId, units } of dead) {
    const data = { tokens: units, why: 'its process ended' };
    await context.record((trx) => endAttempt(trx, attemptId, { outcome: 'unknown' }, context), {
      event: { code: 'EMBED_UNKNOWN', severity: 'warn', attemptId, data },
    });
  }
  if (doubts.length >= 2) {
    const error = new TvdbError('E307', { message: 'Two embedding requests in a row may have been paid for nothing' });
    return (await fallbackOf(job, 'openai', error, context)) ?? held(job, doubts.length);
  }
  const until = (newest.sent ?? newest.started_at) + settings.EMBED_UNKNOWN_WAIT;
  if (until <= clock.now()) return null;
  return {
    kind: 'park',
    reason: 'unknown_outcome',
    until,
    note: 'an embedding request may have arrived; it is sent once more after a wait, and both may be paid',
  };
}

function held(job: JobRow, requests: number): Outcome {
  return {
    kind: 'park',
    reason: 'unknown_outcome',
    until: null,
    note: `${requests} embedding requests may have been paid for nothing; \`tvdb retry ${shortId(job.job_id)}\` sends another`,
  };
}

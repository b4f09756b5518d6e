/** Sends a parse whose intent is committed: the bytes first, then the one request that may be billed. */
import { asTvdbError, storedError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import type { ParseReceipt, ParseRequest, ParseService } from '../services/parse/port.ts';
import { markSent, updateAttempt } from '../store/attempts.ts';
import { wakeSlotWaiter } from '../store/jobs/wake.ts';
import type { AttemptRow, JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import type { Outcome, StageContext } from './stage.ts';
import { type ParseAttemptOptions, storedDocument } from './submit-parse.ts';

/** First look for a request whose outcome is unknown: the service needs a moment to list it. */
const FIRST_LOOK_MS = 1_000;

/**
 * One request, after the mark that it is about to leave was committed. Returns the remote id; or, when nobody knows
 * whether it arrived, the outcome that rests the job until it was looked for. Throws what provably was not accepted.
 */
export async function sendParse(
  job: JobRow,
  attempt: AttemptRow,
  service: ParseService,
  context: StageContext,
): Promise<{ attempt: AttemptRow; remoteId: string } | Outcome> {
  const { clock, abort } = context;
  const request = await requestOf(job, attempt, context);
  reach('parse.after_intent');
  await service.prepare?.(request, abort);
  reach('parse.bytes_sent');
  let sentAt: number | null = null;
  const leaving = async () => {
    if (sentAt !== null) return;
    const now = clock.now();
    await context.record((trx) => markSent(trx, attempt.attempt_id, now));
    sentAt = now;
    reach('parse.before_send');
  };
  let receipt: ParseReceipt;
  try {
    receipt = await service.submit(
      request,
      { attemptId: attempt.attempt_id, jobId: job.job_id, correlationId: job.correlation_id, leaving },
      abort,
    );
  } catch (thrown) {
    // What became of a request that we stopped waiting for is not known: the attempt stays `sent` and is looked for.
    if (abort.aborted) throw thrown;
    // Nothing left: the attempt waits for its turn as it is.
    if (sentAt === null) throw thrown;
    const error = asTvdbError(thrown);
    const facts = {
      error: JSON.stringify(storedError(error)),
      http_status: typeof error.facts.http_status === 'number' ? error.facts.http_status : null,
      upstream_request_id: typeof error.facts.request_id === 'string' ? error.facts.request_id : null,
    };
    if (error.code === 'E307' || error.code === 'E900') {
      return {
        kind: 'park',
        reason: 'unknown_outcome',
        until: clock.now() + FIRST_LOOK_MS,
        note: `${error.message}; it is looked for before anything is sent again`,
        event: { code: 'PARSE_UNKNOWN', severity: 'warn', attemptId: attempt.attempt_id, data: { why: error.message } },
        write: (trx) => endAttempt(trx, attempt.attempt_id, { ...facts, outcome: 'unknown' }, context),
      };
    }
    const because = error.facts.sent === false ? 'not_sent' : 'not_charged';
    await context.record(async (trx) => {
      await endAttempt(trx, attempt.attempt_id, { ...facts, outcome: 'failed' }, context, { because });
      await wakeSlotWaiter(trx, clock.now());
    });
    throw error;
  }
  reach('parse.after_send');
  // Outside the `try`: a store that cannot take the id says nothing about the request, which was accepted.
  const { remoteId } = receipt;
  await context.record(
    (trx) =>
      updateAttempt(trx, attempt.attempt_id, {
        remote_id: remoteId,
        http_status: receipt.httpStatus ?? null,
        upstream_request_id: receipt.requestId ?? null,
      }),
    { event: { code: 'PARSE_REQUESTED', attemptId: attempt.attempt_id, data: { remote_id: remoteId } } },
  );
  reach('parse.id_recorded');
  return { attempt: { ...attempt, sent: sentAt, remote_id: remoteId }, remoteId };
}

async function requestOf(job: JobRow, attempt: AttemptRow, context: StageContext): Promise<ParseRequest> {
  const document = await storedDocument(job, context);
  const { pages, fresh } = JSON.parse(attempt.options ?? '{}') as Partial<ParseAttemptOptions>;
  return {
    documentId: document.document_id,
    path: context.storage.pathOf(document.raw_path),
    fileSha256: document.file_sha256,
    mime: document.mime,
    pages: document.pages,
    ...(pages !== undefined && { targetPages: pages }),
    ...(fresh === true && { disableCache: true }),
  };
}

/** `parse_queued`: sends the committed intent once, waits for the result, stores it. */
import { asTvdbError, storedError, TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import type { ParseService } from '../services/parse/port.ts';
import { latestAttempt, markSent, searchWindow, updateAttempt } from '../store/attempts.ts';
import type { Trx } from '../store/open.ts';
import { putParse } from '../store/parses.ts';
import type { AttemptRow, JobRow } from '../store/schema.ts';
import type { Outcome, Stage, StageContext } from './stage.ts';
import { withProgress } from './stage.ts';
import { storedDocument } from './submit-parse.ts';

/** How long one look at a parse that runs in this process may wait. */
const LOOK_MS = 15_000;
/** When to look again at a parse that runs elsewhere. */
const LOOK_AGAIN_MS = 5_000;

export const collectParse: Stage = async (job, context) => {
  const attempt = await latestAttempt(context.store.db, job.job_id, 'parse');
  // A failed attempt was counted where it failed.
  if (attempt === undefined || attempt.outcome === 'failed') {
    return toStart('the last attempt ended without a result');
  }
  const service = await context.router.parseService(attempt.origin);
  const remoteId = attempt.remote_id ?? (await remoteIdOf(job, attempt, service, context));
  if (remoteId === null) return lost('the attempt never reached the parser', job, attempt.attempt_id, context);
  return await collect(job, attempt.attempt_id, remoteId, service, context);
};

/** The remote id of an attempt that has none recorded: by sending it if it was never sent, by looking for it if it was. */
async function remoteIdOf(
  job: JobRow,
  attempt: AttemptRow,
  service: ParseService,
  context: StageContext,
): Promise<string | null> {
  if (attempt.sent === null) return send(job, attempt, service, context);
  const window = searchWindow(attempt, context.clock.now());
  const [found] = await service.findByAttempt(attempt.attempt_id, window, context.abort);
  if (found === undefined) return null;
  await context.record((trx) => updateAttempt(trx, attempt.attempt_id, { outcome: 'adopted', remote_id: found }), {
    event: { code: 'PARSE_ADOPTED', attemptId: attempt.attempt_id, data: { remote_id: found } },
  });
  return found;
}

/** One request, after the mark that it is about to leave was committed. */
async function send(job: JobRow, attempt: AttemptRow, service: ParseService, context: StageContext): Promise<string> {
  const { clock, storage } = context;
  const document = await storedDocument(job, context);
  reach('parse.after_intent');
  await context.record((trx) => markSent(trx, attempt.attempt_id, clock.now()));
  reach('parse.before_send');
  let remoteId: string;
  try {
    ({ remoteId } = await service.submit(
      {
        documentId: document.document_id,
        path: storage.pathOf(document.raw_path),
        fileSha256: document.file_sha256,
        mime: document.mime,
        pages: document.pages,
      },
      { attemptId: attempt.attempt_id, jobId: job.job_id, correlationId: job.correlation_id },
      context.abort,
    ));
  } catch (error) {
    await failAttempt(attempt.attempt_id, error, context);
    throw error;
  }
  reach('parse.after_send');
  await context.record((trx) => updateAttempt(trx, attempt.attempt_id, { remote_id: remoteId }), {
    event: { code: 'PARSE_REQUESTED', attemptId: attempt.attempt_id, data: { remote_id: remoteId } },
  });
  return remoteId;
}

async function collect(
  job: JobRow,
  attemptId: string,
  remoteId: string,
  service: ParseService,
  context: StageContext,
): Promise<Outcome> {
  const { clock, abort } = context;
  for (;;) {
    const poll = await service.poll(remoteId, LOOK_MS, abort);
    abort.throwIfAborted();
    if (poll.state === 'done') break;
    if (poll.state === 'gone') return lost('the parser does not know the attempt any more', job, attemptId, context);
    if (poll.state === 'failed') {
      await failAttempt(attemptId, poll.error, context);
      throw poll.error;
    }
    if (!service.runsHere) {
      return {
        kind: 'park',
        reason: 'awaiting_result',
        until: clock.now() + LOOK_AGAIN_MS,
        note: 'the parser is at work',
      };
    }
  }
  const result = await service.fetchResult(remoteId, abort);
  reach('parse.result_fetched');
  const attempt = await latestAttempt(context.store.db, job.job_id, 'parse');
  const parseId = job.parse_id;
  if (parseId === null || attempt === undefined) throw new Error('a parse attempt without a parse id');
  return {
    kind: 'move',
    to: 'parsed',
    event: { code: 'PARSE_STORED', attemptId, data: { pages: result.pages.length, origin: service.origin } },
    set: { progress: withProgress(job, { pages: result.pages.length }) },
    write: async (trx) => {
      await putParse(trx, {
        parse_id: parseId,
        document_id: job.document_id,
        parser_name: service.parserName,
        parser_version: service.parserVersion,
        origin: service.origin,
        pages: result.pages,
        created_at: clock.now(),
      });
      await updateAttempt(trx, attemptId, {
        outcome: 'ok',
        latency_ms: Math.max(0, clock.now() - (attempt.sent ?? attempt.started_at)),
      });
    },
  };
}

/** A lost parse is tried again like a failed one: as often as MAX_RETRIES allows. */
function lost(why: string, job: JobRow, attemptId: string, { settings }: StageContext): Outcome {
  const write = (trx: Trx) => updateAttempt(trx, attemptId, { outcome: 'failed' });
  if (job.retry_count >= settings.MAX_RETRIES) {
    const error = new TvdbError('E303', { message: `The parse was lost ${job.retry_count + 1} times`, why });
    return { kind: 'fail', error, write };
  }
  return { ...toStart(why), set: { retry_count: job.retry_count + 1 }, write };
}

/** Back to `uploaded`, where a new attempt is made. */
function toStart(why: string): Outcome & { kind: 'move' } {
  return { kind: 'move', to: 'uploaded', event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { why } } };
}

async function failAttempt(attemptId: string, error: unknown, { record }: StageContext): Promise<void> {
  const known = error instanceof TvdbError ? error : asTvdbError(error);
  await record((trx) =>
    updateAttempt(trx, attemptId, { outcome: 'failed', error: JSON.stringify(storedError(known)) }),
  );
}

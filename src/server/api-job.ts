/** `GET /job/{id}`: how a job stands, or the upload it will come from. */
import { iso } from '../base/clock.ts';
import { type StoredError, storedError, TvdbError } from '../base/errors.ts';
import { stepOf } from '../domain/job-state.ts';
import { type JobOutcome, outcomeOfJob } from '../pipeline/job-outcome.ts';
import type { UploadDeps } from '../pipeline/staging.ts';
import { refusal } from './api-errors.ts';
import type { Exchange } from './http-server.ts';
import { replyJson } from './reply.ts';
import type { Ticket, Tickets } from './tickets.ts';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Answers for the id of a job or of an announced upload. 404 for others, 410 for an announcement whose time is over. */
export async function sendJob(
  exchange: Exchange,
  id: string,
  { tickets, pipeline }: { tickets: Tickets; pipeline: Pick<UploadDeps, 'store' | 'clock' | 'userId'> },
): Promise<void> {
  const { store, clock, userId } = pipeline;
  const asked = id.toLowerCase();
  const ticket = tickets.ofJob(asked);
  if (ticket !== undefined && ticket.job === undefined) {
    if (ticket.state === 'waiting' && !tickets.isOpen(ticket))
      throw refusal(410, 'No bytes came in time for this upload', { fix: 'Announce it again with POST /upload.' });
    return replyJson(exchange, 200, ticketJson(ticket));
  }
  const outcome = ID.test(asked) ? await outcomeOfJob(store.db, ticket?.job ?? asked, clock.now()) : undefined;
  // A job of another user is none.
  if (outcome === undefined || outcome.job.user_id !== userId)
    throw new TvdbError('E006', { message: 'There is no job with this id' });
  return replyJson(exchange, 200, jobJson(outcome));
}

function ticketJson({ jobId, documentId, filename, expiresAt, state, error }: Ticket): object {
  return {
    job_id: jobId,
    document_id: documentId,
    status: state === 'refused' ? 'refused' : 'awaiting_bytes',
    filename,
    expires_at: iso(expiresAt),
    error: error === undefined ? null : storedError(error),
  };
}

function jobJson({ job, document, steps, uses, pages, chunks, vectors }: JobOutcome): object {
  return {
    job_id: job.job_id,
    document_id: job.document_id,
    correlation_id: job.correlation_id,
    status: job.status,
    step: stepOf(job.status),
    filename: document?.filename ?? null,
    mode: job.service_mode,
    fallback: job.fallback_triggered === 1,
    pages,
    chunks,
    vectors,
    steps: steps.map(({ name, status, ms, tries }) => ({ name, status, ms, tries })),
    services: uses.map(({ service, origin, requests, units }) => ({ service, origin, requests, units })),
    parked:
      job.park_reason === null ? null : { reason: job.park_reason, note: job.park_note, until: iso(job.run_after) },
    error: job.last_error === null ? null : (JSON.parse(job.last_error) as StoredError),
    duplicate_of: job.duplicate_of,
    created_at: iso(job.created_at),
    updated_at: iso(job.updated_at),
    completed_at: iso(job.processing_completed_at),
  };
}

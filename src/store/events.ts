/** The append-only record of what happened to each job. Every state change writes one, in the same transaction. */

import type { JobStatus } from '../domain/job-state.ts';
import type { Db, Trx } from './open.ts';
import type { JobEventRow, JobRow } from './schema.ts';

/** Every event code. A code never changes its meaning. */
export const EVENT_CODES = [
  'UPLOAD_ACCEPTED',
  'UPLOAD_DEDUP_HIT',
  'UPLOAD_ATTACHED',
  'ROUTE_DECIDED',
  'MODE_CHANGED',
  'FALLBACK',
  'PARSE_INTENT',
  'PARSE_REQUESTED',
  'PARSE_ADOPTED',
  'PARSE_UNKNOWN',
  'PARSE_ABSENT',
  'PARSE_OVERRUN',
  'PARSE_STORED',
  'PARSE_INCOMPLETE',
  'PARSE_CACHE_HIT',
  'PARSE_VALIDATED',
  'CHUNKING_STARTED',
  'CHUNK_BUFFERED',
  'CHUNK_COMMITTED',
  'EMBED_PLANNED',
  'EMBED_STARTED',
  'EMBED_BUFFERED',
  'EMBED_UNKNOWN',
  'EMBED_CACHE_HIT',
  'EMBED_BATCH_CREATED',
  'EMBED_BATCH_ENDED',
  'EMBED_BATCH_OVERRUN',
  'EMBED_COMMITTED',
  'FINALIZED',
  'RETRY_SCHEDULED',
  'PARKED',
  'RESUMED',
  'LEASE_RECLAIMED',
  'WEBHOOK_RECEIVED',
  'WEBHOOK_REJECTED',
  'BUDGET_REFUSED',
  'FAILED',
  'CANCELLED',
  'DOCUMENT_DELETED',
] as const;

export type EventCode = (typeof EVENT_CODES)[number];

/** The part of a job its events carry. */
export type EventSubject = Pick<JobRow, 'job_id' | 'document_id' | 'correlation_id' | 'run_id'>;

export interface NewEvent {
  eventId: string;
  at: number;
  code: EventCode;
  severity?: JobEventRow['severity'];
  subject: EventSubject;
  from?: JobStatus | null;
  to?: JobStatus | null;
  stage?: string | null;
  attemptId?: string | null;
  durationMs?: number | null;
  /** Facts of the event. Never file names, document text or secrets: events outlive a deleted document. */
  data?: Record<string, unknown>;
}

/** Appends one event and returns its row. */
export async function appendEvent(trx: Trx, event: NewEvent): Promise<JobEventRow> {
  const row = {
    event_id: event.eventId,
    job_id: event.subject.job_id,
    document_id: event.subject.document_id,
    correlation_id: event.subject.correlation_id,
    run_id: event.subject.run_id,
    at: event.at,
    type: event.code.split('_')[0]?.toLowerCase() ?? 'job',
    severity: event.severity ?? 'info',
    code: event.code,
    from_status: event.from ?? null,
    to_status: event.to ?? null,
    stage: event.stage ?? null,
    attempt_id: event.attemptId ?? null,
    duration_ms: event.durationMs == null ? null : Math.round(event.durationMs),
    data: JSON.stringify(event.data ?? {}),
  };
  const { insertId } = await trx.insertInto('job_events').values(row).executeTakeFirstOrThrow();
  return { seq: Number(insertId), ...row };
}

/** All events of a job, oldest first; with `afterSeq`, only those that came later. */
export async function eventsOfJob(db: Db, jobId: string, afterSeq = 0): Promise<JobEventRow[]> {
  return db
    .selectFrom('job_events')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('seq', '>', afterSeq)
    .orderBy('seq')
    .execute();
}

/**
 * Where a job can stand and where it may go from there. `MOVES` is the only source of legal moves: the type below, the
 * SQL CHECK of `upload_jobs.status`, docs/STATES.md and the random-walk test are derived from it.
 *
 * Every status is re-entrant: a crash in any of them leaves a job that the next claim runs again. Waiting is not a
 * status; a job that cannot go on now is parked (see `ParkReason`).
 */

interface StatusRow {
  /** What is true when a job stands here. */
  meaning: string;
  /** Who moves it on. */
  mover: string;
  /** Where it may go. */
  to: readonly string[];
}

export const MOVES = {
  uploaded: {
    meaning: 'bytes are stored and verified, the job is accepted',
    mover: 'submit-parse',
    to: ['parse_queued', 'parsed', 'failed_parse', 'cancelled'],
  },
  parse_queued: {
    meaning: 'a parse attempt exists (intent committed; perhaps submitted)',
    mover: 'collect-parse (webhook, poll)',
    to: ['parsed', 'uploaded', 'failed_parse', 'cancelled'],
  },
  parsed: {
    meaning: 'markdown is stored',
    mover: 'validate-parse',
    to: ['parse_validated', 'uploaded', 'failed_parse', 'cancelled'],
  },
  parse_validated: {
    meaning: 'markdown normalised, hashed, complete',
    mover: 'chunk',
    to: ['chunking', 'failed_chunking', 'cancelled'],
  },
  chunking: {
    meaning: 'chunk buffer is being written',
    mover: 'chunk',
    to: ['chunks_stored', 'failed_chunking', 'cancelled'],
  },
  chunks_stored: {
    meaning: 'chunk buffer is complete',
    mover: 'plan-embedding',
    to: ['embedding_queued', 'failed_embedding', 'cancelled'],
  },
  embedding_queued: {
    meaning: 'batches are planned and priced',
    mover: 'embed',
    to: ['embedding_in_progress', 'chunks_stored', 'failed_embedding', 'cancelled'],
  },
  embedding_in_progress: {
    meaning: 'at least one batch has been sent',
    mover: 'embed',
    to: ['embeddings_stored', 'chunks_stored', 'failed_embedding', 'cancelled'],
  },
  embeddings_stored: {
    meaning: 'every chunk has a validated vector in the buffer, all of one embedding space',
    mover: 'finalize',
    to: ['complete', 'failed_embedding', 'cancelled'],
  },
  complete: {
    meaning: 'buffers promoted in one transaction; the document is searchable',
    mover: '–',
    to: [],
  },
  failed_parse: {
    meaning: 'gave up on parsing; last_error says why',
    mover: 'the user (`tvdb retry`)',
    to: ['uploaded'],
  },
  failed_chunking: {
    meaning: 'gave up on chunking; last_error says why',
    mover: 'the user (`tvdb retry`)',
    to: ['parse_validated'],
  },
  failed_embedding: {
    meaning: 'gave up on embedding; last_error says why',
    mover: 'the user (`tvdb retry`)',
    to: ['chunks_stored'],
  },
  duplicate: {
    meaning: 'same bytes and configuration are already complete for this user; points to that job',
    mover: '–',
    to: [],
  },
  cancelled: {
    meaning: 'stopped by the user; a running remote parse was cancelled if it could be',
    mover: '–',
    to: [],
  },
} as const satisfies Record<string, StatusRow>;

export type JobStatus = keyof typeof MOVES;

export const JOB_STATUSES = Object.keys(MOVES) as JobStatus[];

/** Statuses a new job may have. */
export const INITIAL_STATUSES = ['uploaded', 'duplicate'] as const satisfies readonly JobStatus[];

export const FAILED_STATUSES = [
  'failed_parse',
  'failed_chunking',
  'failed_embedding',
] as const satisfies readonly JobStatus[];

/** Statuses nothing leaves by itself: absorbing ones and failures. */
export const ENDED_STATUSES = [
  'complete',
  'duplicate',
  'cancelled',
  ...FAILED_STATUSES,
] as const satisfies readonly JobStatus[];

export type FailedStatus = (typeof FAILED_STATUSES)[number];
export type EndedStatus = (typeof ENDED_STATUSES)[number];

/** Statuses in which a worker has something to do. */
export type ActiveStatus = Exclude<JobStatus, EndedStatus>;

export const ACTIVE_STATUSES = JOB_STATUSES.filter((status): status is ActiveStatus => !isEnded(status));

/** Why a job waits. Persisted as text; `tvdb status` shows it with the time it ends. */
export const PARK_REASONS = [
  'awaiting_result',
  'retry',
  'rate_limit',
  'service_unavailable',
  'budget',
  'unknown_outcome',
  'maintenance',
  'held_by_user',
] as const;

export type ParkReason = (typeof PARK_REASONS)[number];

/** The five steps people see, and the statuses each covers. */
export const STEPS = ['upload', 'parse', 'chunk', 'embed', 'store'] as const;
export type Step = (typeof STEPS)[number];

const STEP_OF: Record<JobStatus, Step> = {
  uploaded: 'parse',
  parse_queued: 'parse',
  parsed: 'parse',
  failed_parse: 'parse',
  parse_validated: 'chunk',
  chunking: 'chunk',
  failed_chunking: 'chunk',
  chunks_stored: 'embed',
  embedding_queued: 'embed',
  embedding_in_progress: 'embed',
  failed_embedding: 'embed',
  embeddings_stored: 'store',
  complete: 'store',
  duplicate: 'upload',
  cancelled: 'upload',
};

/** The step a job works at, or ended at. */
export function stepOf(status: JobStatus): Step {
  return STEP_OF[status];
}

/** Whether nothing moves a job on from here by itself. */
export function isEnded(status: JobStatus): status is EndedStatus {
  return (ENDED_STATUSES as readonly string[]).includes(status);
}

/** Whether only `tvdb retry` moves a job on from here. */
export function isFailed(status: JobStatus): status is FailedStatus {
  return (FAILED_STATUSES as readonly string[]).includes(status);
}

/** Whether `from → to` is in `MOVES`. */
export function canMove(from: JobStatus, to: JobStatus): boolean {
  return (MOVES[from].to as readonly string[]).includes(to);
}

/** The status a job fails into from an active one. */
export function failureOf(status: ActiveStatus): FailedStatus {
  const step = STEP_OF[status];
  return step === 'parse' ? 'failed_parse' : step === 'chunk' ? 'failed_chunking' : 'failed_embedding';
}

/** Where `tvdb retry` resumes a failed job. */
export function retryTarget(status: FailedStatus): ActiveStatus {
  return MOVES[status].to[0];
}

/** What became of one job, put together from its row, its document, its events and its requests. */
import type { Step } from '../domain/job-state.ts';
import type { Origin, ServiceName } from '../domain/service-mode.ts';
import { attemptsOfJob } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import { eventsOfJob } from '../store/events.ts';
import { type ServiceSpend, spentByJob, spentByService } from '../store/job-spend.ts';
import { jobById } from '../store/jobs/find.ts';
import type { Db } from '../store/open.ts';
import type { AttemptRow, DocumentRow, JobEventRow, JobRow } from '../store/schema.ts';
import { isTwin } from '../store/twins.ts';
import { progressOf } from './stage.ts';
import { type Span, type SpanStatus, timeline } from './timeline.ts';

/** All tries of one step. */
export interface StepOutcome {
  readonly name: Step;
  readonly status: SpanStatus;
  /** Time spent in it; `null` where only its end is known. */
  readonly ms: number | null;
  readonly tries: number;
  /** Id of its last request at the service. */
  readonly upstreamId: string | null;
}

/** What a job asked of one service, successful or not. */
export interface ServiceUse {
  readonly service: AttemptRow['service'];
  readonly origin: Origin;
  readonly requests: number;
  /** Pages for `parse`, tokens for `embed`. */
  readonly units: number;
  /** Nano-USD spent, or reserved for what has not ended; 0 for a mock. */
  readonly nanoUsd: number;
  /** Part of it is the sum that was reserved, because the service has not billed yet. */
  readonly provisional: boolean;
}

export interface JobOutcome {
  readonly job: JobRow;
  /** `undefined` once it was deleted. */
  readonly document: DocumentRow | undefined;
  /** The job whose result this one has: itself, or the one it duplicates. */
  readonly maker: JobRow;
  readonly steps: readonly StepOutcome[];
  readonly uses: readonly ServiceUse[];
  /** Nano-USD spent or reserved for it so far; `null` when it is not known whether a request of it was paid. */
  readonly spentNanoUsd: number | null;
  /** Counts of what was made so far; `null` where the step that knows was not reached. */
  readonly pages: number | null;
  readonly chunks: number | null;
  readonly vectors: number | null;
  readonly dimensions: number | null;
  /** Documents whose place in search this one took. */
  readonly superseded: readonly string[];
}

/** The outcome of a job as it stands at `now`; `undefined` for an id that is no job. */
export async function outcomeOfJob(db: Db, jobId: string, now: number): Promise<JobOutcome | undefined> {
  const job = await jobById(db, jobId);
  if (job === undefined) return undefined;
  const [events, attempts, document] = [
    await eventsOfJob(db, jobId),
    await attemptsOfJob(db, jobId),
    await documentById(db, job.document_id),
  ];
  const maker = (job.duplicate_of === null ? undefined : await jobById(db, job.duplicate_of)) ?? job;
  const made = progressOf(maker);
  const final = events.findLast((event) => event.code === 'FINALIZED');
  return {
    job,
    document,
    maker,
    steps: stepsOf(timeline(job, events, attempts, now).spans),
    uses: usesOf(attempts, await spentByService(db, jobId)),
    spentNanoUsd: attempts.some(inDoubt) ? null : await spentByJob(db, jobId),
    pages: document?.pages ?? (made.pages > 0 ? made.pages : null),
    chunks: made.chunks_total > 0 ? made.chunks_total : null,
    vectors: maker.status === 'complete' ? made.embeds_done : null,
    dimensions: dimensionsOf(maker.embedding_space),
    superseded: final === undefined ? [] : supersededBy(final),
  };
}

function stepsOf(spans: readonly Span[]): StepOutcome[] {
  const names = [...new Set(spans.map((span) => span.stage))];
  return names.map((name) => {
    const tries = spans.filter((span) => span.stage === name);
    const timed = tries.flatMap((span) => (span.ms === null ? [] : [span.ms]));
    const request = tries.flatMap((span) => span.attempts).at(-1);
    return {
      name,
      status: tries.at(-1)?.status ?? 'wait',
      ms: timed.length === 0 ? null : timed.reduce((sum, ms) => sum + ms, 0),
      tries: tries.length,
      upstreamId: request?.upstream_request_id ?? request?.remote_id ?? null,
    };
  });
}

function usesOf(attempts: readonly AttemptRow[], spent: ReadonlyMap<ServiceName, ServiceSpend>): ServiceUse[] {
  const uses = new Map<string, ServiceUse>();
  for (const { service, origin, units, sent, operation } of attempts) {
    // Its money is in the sum of its service; it was not asked for.
    if (sent === null || isTwin({ operation })) continue;
    const key = `${service} ${origin}`;
    const { nano, provisional } = (origin === 'real' && spent.get(SERVICE_OF[service])) || FREE;
    const before = uses.get(key) ?? { service, origin, requests: 0, units: 0, nanoUsd: nano, provisional };
    uses.set(key, { ...before, requests: before.requests + 1, units: before.units + units });
  }
  return [...uses.values()];
}

const SERVICE_OF = { parse: 'llamaparse', embed: 'openai' } as const satisfies Record<
  ServiceUse['service'],
  ServiceName
>;
const FREE: ServiceSpend = { nano: 0, provisional: false };
function inDoubt({ origin, outcome }: AttemptRow): boolean {
  return origin === 'real' && (outcome === 'unknown' || outcome === 'sent');
}

/** `mock/hash-ngram@1/1536` has 1,536. */
function dimensionsOf(space: string | null): number | null {
  const last = Number(space?.split('/').at(-1));
  return Number.isInteger(last) && last > 0 ? last : null;
}

function supersededBy(final: JobEventRow): string[] {
  const { superseded } = JSON.parse(final.data) as { superseded?: string[] };
  return superseded ?? [];
}

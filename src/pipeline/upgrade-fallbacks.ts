/** Redoes for real what fell back to a mock: a new job for each such document, which reuses every part that was real. */
import { TvdbError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import type { ParseOptions } from '../domain/parse-options.ts';
import type { RouterDecision } from '../services/router.ts';
import { documentById } from '../store/documents.ts';
import { appendEvent } from '../store/events.ts';
import { insertJob } from '../store/jobs/insert.ts';
import { coverJobs } from '../store/run-jobs.ts';
import type { DocumentRow, JobEventRow, JobRow } from '../store/schema.ts';
import { decisionOf, parseOptionsOf } from './route.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';
import { configKey, type JobMoney, newJob } from './upload.ts';

export type Upgrade =
  /** `job` is the new one. */
  { state: 'accepted' | 'attached'; job: JobRow; from: JobRow } | { state: 'refused'; from: JobRow; error: TvdbError };

/**
 * Makes the job that redoes the fallen-back parts of `from`, a complete job, in run `runId`. A real parse comes from the
 * cache and real vectors too, so only what was a stand-in is paid, up to `money`. Refused with E305 while a stand-in would
 * be used again, and with E417 when the document is gone.
 */
export async function upgradeFallback(
  deps: PipelineDeps,
  from: JobRow,
  runId: string,
  onEvent: OnEvent,
  money?: JobMoney,
): Promise<Upgrade> {
  const { store, clock, ids } = deps;
  const planned = await planUpgrade(deps, from);
  if ('error' in planned) return { state: 'refused', from, error: planned.error };
  const { decision, document, parse, key } = planned;
  const fresh = newJob(deps, document, key, clock.now(), {
    runId,
    decision,
    priority: from.processing_priority,
    tags: JSON.parse(from.tags) as Record<string, string>,
    costCenter: from.cost_center,
    force: true,
    keepOld: from.keep_old === 1,
    parse,
    money,
    economy: from.economy === 1,
  });
  const { job, attached, events } = await store.write(async (trx) => {
    const made = await insertJob(trx, { ...fresh, upgrades_job: from.job_id, chunks_version: from.chunks_version });
    await coverJobs(trx, runId, [made.job.job_id]);
    const told: JobEventRow[] = [];
    if (!made.attached) {
      const base = { at: clock.now(), subject: made.job, stage: 'upload' };
      const data = { pages: document.pages, bytes: document.bytes_len, upgrades: from.job_id };
      told.push(
        await appendEvent(trx, { ...base, eventId: ids.uuid(), code: 'UPLOAD_ACCEPTED', to: 'uploaded', data }),
      );
      told.push(await appendEvent(trx, { ...base, eventId: ids.uuid(), code: 'ROUTE_DECIDED', data: { ...decision } }));
    }
    return { ...made, events: told };
  });
  for (const event of events) onEvent(event, job);
  return { state: attached ? 'attached' : 'accepted', job, from };
}

/** How the fallen-back parts of a job would be redone as things stand now. */
export interface UpgradePlan {
  decision: RouterDecision;
  document: DocumentRow;
  parse: ParseOptions;
  /** Under which equal work is found. */
  key: string;
}

/** Plans the job that redoes the fallen-back parts of `from`, or says why there can be none (E305, E417). Reads only. */
export async function planUpgrade(deps: PipelineDeps, from: JobRow): Promise<UpgradePlan | { error: TvdbError }> {
  const decision = await deps.router.decideNow(from.service_mode, decisionOf(from).overrides);
  const still = Object.entries(decision.services).filter(([, route]) => route.fallback || route.use === null);
  if (still.length > 0) return { error: wouldFallAgain(from, still) };
  const document = await documentById(deps.store.db, from.document_id);
  if (document === undefined)
    return { error: new TvdbError('E417', { message: `The document of job ${shortId(from.job_id)} was deleted` }) };
  const parse = parseOptionsOf(from, deps.settings);
  return { decision, document, parse, key: await configKey(deps, decision, parse) };
}

function wouldFallAgain(from: JobRow, services: [string, { why: string }][]): TvdbError {
  const why = services.map(([service, route]) => `${service}: ${route.why.replaceAll('_', ' ')}`).join('; ');
  return new TvdbError('E305', {
    message: `Job ${shortId(from.job_id)} would fall back again`,
    why,
    fix: 'See `tvdb mode` and `tvdb health`; try again when the services can be used.',
    chargedNanoUsd: 0,
    facts: { job_id: from.job_id },
  });
}

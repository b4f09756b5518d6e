/** The route of a job to its services: what was decided at its upload, and what that means at the moment of use. */
import { shortId } from '../base/ids.ts';
import type { Settings } from '../config/variables.ts';
import { type ParseOptions, TIER_VERSIONS } from '../domain/parse-options.ts';
import { allows, type Route, type ServiceName } from '../domain/service-mode.ts';
import type { RouterDecision } from '../services/router.ts';
import type { JobChanges } from '../store/jobs/move.ts';
import type { Trx } from '../store/open.ts';
import type { JobRow } from '../store/schema.ts';
import { InsteadError, type Outcome, type PipelineDeps, type StageEvent } from './stage.ts';

/** When to look again whether a service may be used that nothing is known of: no key in this process, for one. */
const LOOK_AGAIN_MS = 300_000;

/** The decision made for a job when it was accepted, or since then by a fallback or a change of its mode. */
export function decisionOf(job: Pick<JobRow, 'service_router_config'>): RouterDecision {
  return JSON.parse(job.service_router_config) as RouterDecision;
}

/** How a job is to be parsed: fixed at its upload; the settings in force for jobs older than that. */
export function parseOptionsOf(job: Pick<JobRow, 'parse_options'>, settings: Settings): ParseOptions {
  return job.parse_options === null ? parseOptions(settings) : (JSON.parse(job.parse_options) as ParseOptions);
}

/** How new jobs are parsed. */
export function parseOptions({ LLAMAPARSE_TIER: tier, LLAMAPARSE_VERSION: version }: Settings): ParseOptions {
  return { tier, version: version ?? TIER_VERSIONS[tier] };
}

/**
 * The route a job takes to a service now. A stand-in that was decided once stays: the user was told of it. A real service
 * is asked for anew at each use, because its key, its account or its breaker may have changed.
 */
export async function routeOf(service: ServiceName, job: JobRow, { router }: PipelineDeps): Promise<Route> {
  const { overrides, services } = decisionOf(job);
  const wish = { mode: job.service_mode, overrides };
  const stored = services[service];
  const wanted = overrides?.[service] ?? job.service_mode;
  if (stored.use === 'mock' && allows(wanted, 'mock')) return stored;
  const { llamaparse } = services;
  const parsed = { ...llamaparse, use: job.parse_origin ?? llamaparse.use };
  return router.route(service, wish, service === 'openai' ? parsed : undefined);
}

/** What changes in a job when a route turned out differently than was decided; nothing when it did not. */
export function routeChange(
  job: JobRow,
  service: ServiceName,
  route: Route,
): { set: JobChanges; before: StageEvent[]; changed: boolean } {
  const decision = decisionOf(job);
  const old = decision.services[service];
  if (old.use === route.use && old.fallback === route.fallback) return { set: {}, before: [], changed: false };
  const services = { ...decision.services, [service]: route };
  const data = { service, to: route.use, reason: route.why };
  return {
    changed: true,
    set: {
      service_router_config: JSON.stringify({ ...decision, services }),
      ...(route.fallback && { fallback_triggered: 1 }),
    },
    before: [
      route.fallback ? { code: 'FALLBACK', severity: 'warn', data } : { code: 'ROUTE_DECIDED', data },
    ] satisfies StageEvent[],
  };
}

/**
 * Inside the write of an outcome that sets the decision of a job: gives the job back unchanged when the user changed its
 * mode meanwhile. The next claim starts from the new mode.
 */
export async function requireSameDecision(trx: Trx, job: JobRow): Promise<void> {
  const row = await trx
    .selectFrom('upload_jobs')
    .select(['service_mode', 'service_router_config'])
    .where('job_id', '=', job.job_id)
    .executeTakeFirst();
  if (row?.service_mode !== job.service_mode || row.service_router_config !== job.service_router_config)
    throw new InsteadError({ kind: 'yield' });
}

/** The outcome where no provider may be used: the job rests, and `tvdb retry` wakes it sooner. */
export function unusable(service: ServiceName, { why }: Route, job: JobRow, now: number): Outcome {
  const reason = why === 'key_missing' ? 'its key is not set in this process' : why;
  return {
    kind: 'park',
    reason: 'service_unavailable',
    until: now + LOOK_AGAIN_MS,
    note: `${service} may not be used (${reason}); \`tvdb retry ${shortId(job.job_id)}\` looks again at once`,
  };
}

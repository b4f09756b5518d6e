/** `data` of `tvdb.upload/v1`. */
import { iso } from '../../base/clock.ts';
import type { JobOutcome, ServiceUse } from '../../pipeline/job-outcome.ts';
import { budgetJson } from './consent.ts';
import { moneyPlanJson, NO_MONEY } from './foreseen-money.ts';
import { moneyJson } from './job-view.ts';
import { type DocumentResult, isDegraded, totalsOf, type UploadAnswer } from './upload-result.ts';

/** The answer as JSON has it: ids in full, money in nano-USD and USD, `null` for what is unknown. */
export function uploadJson(answer: UploadAnswer): Record<string, unknown> {
  const { decision, documents, skipped } = answer;
  const { llamaparse, openai } = decision.services;
  return {
    run_id: answer.runId,
    mode: {
      requested: decision.mode,
      source: answer.modeSource,
      effective: { parse: llamaparse.use, embed: openai.use },
    },
    degraded: isDegraded(answer),
    ...moneyPlanJson(answer.money ?? NO_MONEY),
    cost: costJson(documents),
    budget: budgetJson(answer.money?.budget ?? null),
    documents: documents.map(documentJson),
    skipped: skipped.map(({ shown, reason }) => ({ path: shown, reason })),
    totals: { documents: documents.length, ...totalsOf(documents), skipped: skipped.length, ms: Math.round(answer.ms) },
  };
}

/** Nano-USD a document has cost; `null` while it is not known whether a request of it was charged. */
export function documentCost({ outcome }: Pick<DocumentResult, 'outcome'>): number | null {
  return outcome === null ? 0 : outcome.spentNanoUsd;
}

function total(uses: readonly ServiceUse[]): number {
  return uses.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
}

const SERVICE_NAMES = { parse: ['llamaparse', 'page'], embed: ['openai', 'token'] } as const;

function costJson(documents: readonly DocumentResult[]): Record<string, unknown> {
  const items = new Map<string, ServiceUse>();
  // A document named twice has one job, paid once.
  for (const { outcome, sameAs } of documents) {
    for (const use of sameAs === null ? (outcome?.uses ?? []) : []) {
      const key = `${use.service} ${use.origin}`;
      const before = items.get(key);
      items.set(key, {
        ...use,
        requests: use.requests + (before?.requests ?? 0),
        units: use.units + (before?.units ?? 0),
        nanoUsd: use.nanoUsd + (before?.nanoUsd ?? 0),
        provisional: use.provisional || before?.provisional === true,
      });
    }
  }
  const doubt = documents.some((document) => documentCost(document) === null);
  const { nano_usd, usd } = moneyJson(doubt ? null : total([...items.values()]));
  return {
    total_nano_usd: nano_usd,
    total_usd: usd,
    items: [...items.values()].map((use) => {
      const [service, unit] = SERVICE_NAMES[use.service];
      const { origin: mode, requests, units, provisional, nanoUsd } = use;
      return { service, mode, requests, units, unit, provisional, ...moneyJson(nanoUsd) };
    }),
  };
}

function documentJson(document: DocumentResult): Record<string, unknown> {
  const { outcome } = document;
  const job = outcome?.job;
  return {
    job_id: job?.job_id ?? null,
    document_id: job?.document_id ?? null,
    correlation_id: job?.correlation_id ?? null,
    path: document.shown,
    sha256: document.sha256,
    bytes: document.bytes,
    status: document.status,
    attached: document.attached,
    same_as: document.sameAs,
    duplicate_of: job?.duplicate_of ?? null,
    superseded: outcome?.superseded ?? [],
    ...madeJson(document),
    stages: (outcome?.steps ?? []).map(({ name, status, ms, tries, upstreamId }) => ({
      name,
      status,
      ms,
      attempts: tries,
      upstream_id: upstreamId,
    })),
    ...(({ nano_usd, usd }) => ({ cost_nano_usd: nano_usd, cost_usd: usd }))(moneyJson(documentCost(document))),
    parked:
      job == null || job.park_reason === null
        ? null
        : { reason: job.park_reason, until: iso(job.run_after), note: job.park_note },
    ms: job === undefined ? null : workedMs(job),
    error: document.error,
  };
}

function madeJson({ pages, outcome }: DocumentResult): Record<string, unknown> {
  const maker = outcome?.maker;
  return {
    pages: outcome?.pages ?? pages,
    chunks: outcome?.chunks ?? null,
    vectors: outcome?.vectors ?? null,
    dims: outcome?.dimensions ?? null,
    embedding_space: maker?.embedding_space ?? null,
    origin: { parse: maker?.parse_origin ?? null, embed: maker?.embed_origin ?? null },
    fallback: maker === undefined ? null : maker.fallback_triggered === 1,
  };
}

/** From the making of a job to its end; `null` while it has none. */
export function workedMs(job: JobOutcome['job']): number | null {
  return job.processing_completed_at === null ? null : Math.max(0, job.processing_completed_at - job.created_at);
}

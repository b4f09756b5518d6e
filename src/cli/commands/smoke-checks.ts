/** What `smoke` demands of each step, and what kept a step from being reached. */

import { iso } from '../../base/clock.ts';
import { ERROR_CODES, type ErrorCode } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isFailed, STEPS, stepOf } from '../../domain/job-state.ts';
import { decodeVector } from '../../domain/vector.ts';
import type { JobOutcome } from '../../pipeline/job-outcome.ts';
import { searchDocuments } from '../../pipeline/search-documents.ts';
import type { RouterDecision } from '../../services/router.ts';
import { bufferedChunks } from '../../store/chunks.ts';
import { type ExportedChunk, exportPages } from '../../store/export-chunks.ts';
import { pagesOf, parseById } from '../../store/parses.ts';
import { plural } from '../ui/format.ts';
import { lastError, parkText } from './job-view.ts';
import { equal, type Finding, holds } from './smoke-steps.ts';
import type { SmokeRequest, Work } from './smoke-work.ts';
import { fallbackRefused } from './upload-error.ts';

/** The error that kept the job from the end of `step`; `null` when it got through it, with the service that was wanted. */
export function stopped(
  step: 'parse' | 'chunk' | 'embed' | 'store',
  { job }: JobOutcome,
  timeUp: boolean,
  { refuseFallback, timeout }: SmokeRequest,
): TvdbError | null {
  const service = step === 'parse' ? 'llamaparse' : step === 'embed' ? 'openai' : null;
  const decision = JSON.parse(job.service_router_config) as RouterDecision;
  if (refuseFallback && service !== null && decision.services[service].fallback)
    return fallbackRefused({ decision, documents: [], runId: null });
  if (job.status === 'complete' || STEPS.indexOf(step) < STEPS.indexOf(stepOf(job.status))) return null;
  const facts = { job_id: job.job_id, correlation_id: job.correlation_id };
  const error = lastError(job);
  const code = error?.code.replace(/^TVDB-/, '') ?? '';
  const stored = (fallback: ErrorCode, message: string): TvdbError => {
    const known = code in ERROR_CODES ? (code as ErrorCode) : fallback;
    return new TvdbError(known, {
      message: error === null ? message : error.message,
      ...(error !== null && error.why !== null && { why: error.why }),
      fix: (error?.fix ?? '').replaceAll('<id>', shortId(job.job_id)),
      chargedNanoUsd: null,
      facts,
    });
  };
  if (isFailed(job.status)) return stored('E401', `the page failed at ${step}`);
  if (timeUp)
    return new TvdbError('E114', {
      message: `Time was up (${Math.round(timeout / 1000)} s) at ${step}`,
      ...(parkText(job) !== null && { why: parkText(job) ?? '' }),
      facts,
    });
  const note = parkText(job) ?? `the page was left at ${job.status}`;
  const reason = job.park_reason;
  if (reason === 'budget' || reason === 'held_by_user')
    return new TvdbError(reason === 'budget' ? 'E201' : 'E202', { message: note, chargedNanoUsd: 0, facts });
  return stored('E303', `${note}, until ${iso(job.run_after) ?? 'somebody acts'}`);
}

/** One page with text, from the service that was wanted. */
export async function checkParse({ job, document }: JobOutcome, { world, decision }: Work): Promise<Finding> {
  const parse = job.parse_id === null ? undefined : await parseById(world.store.db, job.parse_id);
  const markdown = parse?.markdown ?? '';
  const headings = markdown.split('\n').filter((line) => /^#{1,6} /.test(line)).length;
  const pages = parse === undefined ? 0 : pagesOf(parse).length;
  return {
    detail: `markdown of ${plural(pages, 'page')}, ${plural(headings, 'heading')}`,
    assertions: [
      equal('pages', document?.pages ?? 1, pages),
      holds('has_text', markdown.trim() !== '', markdown.length),
      equal('origin', decision.services.llamaparse.use, job.parse_origin),
    ],
  };
}

/** The stored chunks; those of a job that is not at its end are in its buffer, and have no vectors yet. */
async function textsOf({ job }: JobOutcome, { world }: Work): Promise<{ text: string }[]> {
  return bufferedChunks(world.store.db, job.job_id);
}

async function chunksOf({ job }: JobOutcome, { world }: Work): Promise<ExportedChunk[]> {
  const chunks: ExportedChunk[] = [];
  for await (const page of exportPages(world.store.db, { documentIds: [job.document_id] })) chunks.push(...page);
  return chunks;
}

/** At least one chunk, none empty, numbered without gaps. */
export async function checkChunks(outcome: JobOutcome, work: Work): Promise<Finding> {
  const chunks = outcome.job.status === 'complete' ? await chunksOf(outcome, work) : await textsOf(outcome, work);
  return {
    detail: `${plural(chunks.length, 'chunk')}, none empty`,
    assertions: [
      holds('chunks', chunks.length > 0, chunks.length),
      equal('empty_chunks', 0, chunks.filter(({ text }) => text.trim() === '').length),
      equal('chunks_made', outcome.chunks, chunks.length),
    ],
  };
}

/** A vector for each chunk, of the dimensions of its space, of finite numbers. */
export async function checkEmbedding(outcome: JobOutcome, work: Work): Promise<Finding> {
  const chunks = await chunksOf(outcome, work);
  const vectors = chunks.map(({ vector }) => decodeVector(vector));
  const dims = outcome.dimensions ?? 0;
  return {
    detail: `${plural(vectors.length, 'vector')}, ${dims} dims, finite`,
    assertions: [
      equal('vectors', outcome.vectors, vectors.length),
      equal('dims', dims, vectors.find((vector) => vector.length !== dims)?.length ?? dims),
      holds(
        'finite',
        vectors.every((vector) => vector.every(Number.isFinite)),
      ),
      equal('origin', work.decision.services.openai.use, outcome.job.embed_origin),
    ],
  };
}

/** The job complete and every row of the one document, in the one space. */
export async function checkStore(outcome: JobOutcome, work: Work): Promise<Finding> {
  const chunks = await chunksOf(outcome, work);
  const strays = chunks.filter((chunk) => chunk.space !== outcome.job.embedding_space);
  return {
    detail: `${plural(chunks.length, 'row')}, same document`,
    assertions: [
      equal('status', 'complete', outcome.job.status),
      equal('rows', outcome.chunks, chunks.length),
      equal('rows_of_other_spaces', 0, strays.length),
    ],
  };
}

/**
 * What is asked is the text of the chunk as it stands, so that no parser's wording matters. All of it as a rule: against
 * its first dozen words the id weighs so much that in a full store another page came first in 5 of 12 runs.
 */
const QUERY_LENGTH = 2_000;

/** The page is found by its own words: nothing in the store scores higher. */
export async function checkSearch(outcome: JobOutcome, work: Work): Promise<Finding> {
  const { world, decision, ctx, runId } = work;
  const [first] = await chunksOf(outcome, work);
  // The id keeps the query from being one that was embedded before.
  const query = `${(first?.text ?? '').slice(0, QUERY_LENGTH)} ${shortId(runId)}`;
  // What it may cost was agreed to with the page.
  const deps = { ...world.pipeline, agree: async () => ({ runId }) };
  const request = { query, k: 10, mode: decision.mode, ...(decision.overrides && { overrides: decision.overrides }) };
  const found = await searchDocuments(deps, request, ctx.interrupt.stopping);
  const best = found.hits[0];
  const own = found.hits.find(({ documentId }) => documentId === outcome.job.document_id);
  // Another copy of the same page in the store may tie with it.
  const rank = own === undefined ? null : found.hits.filter(({ score }) => score > own.score + 1e-6).length + 1;
  return {
    detail: own === undefined ? 'fixture not found' : `fixture is rank ${rank} (${own.score.toFixed(2)})`,
    assertions: [equal('rank', 1, rank), holds('hits', best !== undefined, found.hits.length)],
    nanoUsd: found.costNanoUsd === 0 ? null : found.costNanoUsd,
  };
}

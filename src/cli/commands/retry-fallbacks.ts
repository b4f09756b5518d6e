/** `retry --fallbacks`: which documents have parts that a mock made in place of a real service, and the jobs that redo them. */
import type { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { decisionOf } from '../../pipeline/route.ts';
import { upgradeFallback } from '../../pipeline/upgrade-fallbacks.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import { documentById, isSearchable } from '../../store/documents.ts';
import { fallenBackJobs, upgradeOf } from '../../store/jobs/fallen-back.ts';
import { jobById } from '../../store/jobs/find.ts';
import { jobIdsOf } from '../../store/jobs/of-id.ts';
import type { JobRow } from '../../store/schema.ts';
import type { World } from '../../world.ts';
import { JOB_KINDS, resolveId } from '../ids.ts';
import { plural } from '../ui/format.ts';
import { accent, dim } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';
import type { RetryLine } from './retry-view.ts';

/** A step whose result a mock made in place of a real service. */
export type FallenPart = 'parse' | 'embed';

/** What becomes of a job that was asked about. */
export type FallenState =
  | { readonly state: 'to_redo'; readonly parts: readonly FallenPart[] }
  /** A job that redoes it exists. */
  | { readonly state: 'already_redone' | 'already_redoing'; readonly by: JobRow }
  /** Nothing fell back. */
  | { readonly state: 'not_fallen_back' }
  /** It is not complete: it has nothing that could be redone yet. */
  | { readonly state: 'not_complete' }
  /** What it made is not searchable any more: another version or another job took its place, or it was deleted. */
  | { readonly state: 'replaced' };

export interface FallenJob {
  readonly job: JobRow;
  readonly filename: string | null;
  readonly found: FallenState;
}

/** The jobs in question: those named, or every one that fell back and was not redone yet. Throws E006 or E007 for an id. */
export async function chooseFallen(world: World, typed: readonly string[]): Promise<FallenJob[]> {
  const { db } = world.store;
  if (typed.length === 0) {
    const all = await Promise.all((await fallenBackJobs(db)).map((job) => look(world, job)));
    return all.filter(({ found }) => found.state === 'to_redo');
  }
  const chosen = new Map<string, FallenJob>();
  for (const text of typed) {
    const match = await resolveId(db, text, JOB_KINDS, { command: ['retry', '--fallbacks'] });
    const ids = await jobIdsOf(db, match);
    // Of a document only the job whose result is searchable counts, of a run every job.
    const looked: FallenJob[] = [];
    for (const id of ids) {
      const job = await madeBy(db, id);
      if (job !== undefined) looked.push(await look(world, job));
    }
    const redo = looked.filter(({ found }) => found.state === 'to_redo');
    const kept = match.kind === 'document' ? (redo.length > 0 ? redo : looked.slice(0, 1)) : looked;
    for (const one of kept) chosen.set(one.job.job_id, one);
  }
  return [...chosen.values()];
}

/** The job itself, or the one whose result a duplicate points to. */
async function madeBy(db: World['store']['db'], jobId: string): Promise<JobRow | undefined> {
  const job = await jobById(db, jobId);
  return job === undefined || job.duplicate_of === null ? job : ((await jobById(db, job.duplicate_of)) ?? job);
}

async function look({ store: { db } }: World, job: JobRow): Promise<FallenJob> {
  const filename = (await documentById(db, job.document_id))?.filename ?? null;
  const base = { job, filename };
  if (job.status !== 'complete') return { ...base, found: { state: 'not_complete' } };
  const parts = fallenParts(job);
  if (job.fallback_triggered !== 1 || parts.length === 0) return { ...base, found: { state: 'not_fallen_back' } };
  const by = await upgradeOf(db, job.job_id);
  if (by !== undefined)
    return { ...base, found: { state: by.status === 'complete' ? 'already_redone' : 'already_redoing', by } };
  const made = {
    ...(job.embedding_space !== null && { space: job.embedding_space }),
    ...(job.parse_id !== null && { parseId: job.parse_id }),
    chunker: job.chunks_version,
  };
  const searchable = filename !== null && (await isSearchable(db, job.document_id, made));
  return { ...base, found: searchable ? { state: 'to_redo', parts } : { state: 'replaced' } };
}

/** The steps of a job that fell back, as they were decided in the end. */
export function fallenParts(job: JobRow): FallenPart[] {
  const { services } = decisionOf(job);
  return [
    ...(services.llamaparse.fallback ? (['parse'] as const) : []),
    ...(services.openai.fallback ? (['embed'] as const) : []),
  ];
}

/** What is about to be redone, before anybody is asked. */
export function redoNote(page: Page, chosen: readonly FallenJob[]): void {
  const redo = chosen.filter(({ found }) => found.state === 'to_redo');
  page.field('Redo', `${plural(redo.length, 'document')} for real`);
  for (const { job, filename, found } of redo.slice(0, 20)) {
    if (found.state !== 'to_redo') continue;
    page.line('  ', accent(shortId(job.job_id)), '  ', filename ?? dim('deleted'), '   ', partsText(found.parts));
  }
  if (redo.length > 20) page.line(dim(`  ... ${plural(redo.length - 20, 'more document')}`));
}

/** `parse and embed`, or what of it was real already. */
export function partsText(parts: readonly FallenPart[]): string {
  if (parts.length > 1) return 'parse and embed';
  return parts[0] === 'embed' ? 'embed only, the parse is real' : 'parse only';
}

/** Makes the jobs that redo what was chosen, in run `runId`, with the money of each; a line for each that says what was done or why not. */
export async function upgradeLines(
  world: World,
  chosen: readonly FallenJob[],
  runId: string,
  money: ReadonlyMap<string, JobMoney>,
): Promise<RetryLine[]> {
  const lines: RetryLine[] = [];
  for (const one of chosen) lines.push(await upgradeLine(world, one, runId, money.get(one.job.job_id)));
  return lines;
}

async function upgradeLine(
  { pipeline }: World,
  { job, filename, found }: FallenJob,
  runId: string,
  money: JobMoney | undefined,
): Promise<RetryLine> {
  if (found.state !== 'to_redo') {
    const by = 'by' in found ? found.by.job_id : null;
    return { job, filename, outcome: { state: found.state, by }, taken: false };
  }
  const upgrade = await upgradeFallback(pipeline, job, runId, () => {}, money);
  const { parts } = found;
  if (upgrade.state === 'refused') return { job, filename, outcome: refusal(upgrade.error), taken: false, parts };
  return { job: upgrade.job, filename, outcome: { state: 'redone', from: job.job_id }, taken: true, parts };
}

function refusal(error: TvdbError): RetryLine['outcome'] {
  return { state: 'refused', error };
}

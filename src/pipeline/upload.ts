/** The second step of an upload: accepts staged documents – bytes into place, duplicates found, the job made. */
import { reach } from '../base/fault.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { ParseOptions } from '../domain/parse-options.ts';
import type { ServiceMode } from '../domain/service-mode.ts';
import type { RouterDecision } from '../services/router.ts';
import { discard } from '../storage/intake.ts';
import { storageUri } from '../storage/local.ts';
import { documentBySha, insertDocument, updateSource } from '../store/documents.ts';
import { appendEvent } from '../store/events.ts';
import { finishedJob } from '../store/jobs/find.ts';
import { insertJob, urgeJob } from '../store/jobs/insert.ts';
import type { Trx } from '../store/open.ts';
import type { DocumentRow, JobRow, NewJob } from '../store/schema.ts';
import { chunkerKey, chunkOptions } from './chunk.ts';
import { parseOptions } from './route.ts';
import type { PipelineDeps } from './stage.ts';
import type { StagedDocument, UploadDeps } from './staging.ts';
import type { OnEvent } from './step.ts';

export interface AcceptOptions {
  runId: string;
  decision: RouterDecision;
  priority: number;
  tags: Record<string, string>;
  costCenter: string | null;
  /** Redo even what is complete already. */
  force: boolean;
  /** Keep earlier versions of the same path searchable. */
  keepOld: boolean;
  /** How it is parsed; absent: as the settings say. */
  parse?: ParseOptions | undefined;
  /** Neither cache may answer: parse and embed again, and pay again. */
  noCache?: boolean;
  /** What was foreseen and agreed to; absent: nobody was asked, and it goes without asking up to COST_AUTO_APPROVE_USD. */
  money?: JobMoney | undefined;
  /** Embed through the batch API: half the price, up to a day. */
  economy?: boolean;
  /** Ids that were given out before: of the job it makes, and of the document unless these bytes are one already. */
  ids?: { jobId: string; documentId: string };
}

/** The money of a job at its upload: how much it may spend in all, and what was foreseen for it. Nano-USD. */
export interface JobMoney {
  readonly consentNanoUsd: number;
  readonly estimate: { readonly likely: number; readonly max: number; readonly priceVersion: string | null };
}

export interface Accepted {
  state: 'accepted' | 'attached' | 'duplicate';
  job: JobRow;
  document: DocumentRow;
}

/** The key under which equal work is found again: everything that changes the result. */
export async function configKey(
  deps: PipelineDeps,
  decision: RouterDecision,
  parse: ParseOptions = parseOptions(deps.settings),
): Promise<string> {
  const { router, settings } = deps;
  const { llamaparse, openai } = decision.services;
  const parser = llamaparse.use === null ? null : await router.parseService(llamaparse.use, parse);
  const embedder = openai.use === null ? null : await router.embedService(openai.use);
  return sha256(
    canonicalJson({
      mode: decision.mode satisfies ServiceMode,
      parser: parser && { name: parser.parserName, version: parser.parserVersion },
      chunker: chunkerKey(chunkOptions(settings)),
      space: embedder?.space.name ?? null,
    }),
  );
}

/**
 * Makes the job of a staged document: a new one, a `duplicate` when the same work is complete and still searchable, or
 * none when the same work is in flight (the caller then follows that job). The stored bytes are in place, whole, before
 * the job exists.
 */
export async function acceptDocument(
  deps: UploadDeps,
  staged: StagedDocument,
  options: AcceptOptions,
  onEvent: OnEvent,
): Promise<Accepted> {
  const { store, storage, clock, userId } = deps;
  const key = await configKey(deps, options.decision, options.parse);
  let bytesAt = staged.staged.path;
  for (;;) {
    const known = await documentBySha(store.db, userId, staged.staged.sha256);
    const document = known ?? newDocument(deps, staged, options.ids?.documentId ?? deps.ids.uuid());
    const placed = known === undefined || !(await storage.isWhole(known.raw_path, known.file_sha256));
    if (placed) {
      await storage.place(bytesAt, document.raw_path);
      bytesAt = storage.pathOf(document.raw_path);
    }
    reach('upload.bytes_stored');
    const now = clock.now();
    const accepted = await store.write(async (trx) => {
      // Read again under the write lock: others may have made, deleted or finished the document meanwhile.
      const current = await documentBySha(trx, userId, document.file_sha256);
      // Deleted since it was looked up: once more, as a new document. The staged bytes are still ours.
      if (known !== undefined && current === undefined) return null;
      const row = current ?? document;
      const source = { filename: staged.filename, path: staged.sourcePath, now };
      if (current === undefined) await insertDocument(trx, row);
      await updateSource(trx, row, source);
      return { row, ...(await makeJob(trx, deps, row, key, now, options)) };
    });
    if (accepted === null) continue;
    if (placed && accepted.row.document_id !== document.document_id) await storage.remove(document.raw_path);
    await discard(staged.staged);
    reach('upload.accepted');
    for (const event of accepted.events) onEvent(event, accepted.job);
    return { state: accepted.state, job: accepted.job, document: accepted.row };
  }
}

function newDocument({ clock, userId }: UploadDeps, staged: StagedDocument, documentId: string): DocumentRow {
  return {
    document_id: documentId,
    user_id: userId,
    filename: staged.filename,
    mime: staged.mime,
    bytes_len: staged.staged.bytes,
    pages: staged.pages,
    file_sha256: staged.staged.sha256,
    raw_path: storageUri({ bucket: 'raw', userId, documentId, ext: staged.ext }),
    parsed_path: null,
    parsed_sha256: null,
    source_path: null,
    source_at: 0,
    superseded_by: null,
    created_at: clock.now(),
  };
}

async function makeJob(
  trx: Trx,
  deps: UploadDeps,
  document: DocumentRow,
  key: string,
  now: number,
  options: AcceptOptions,
) {
  const { ids } = deps;
  const duplicate = options.force
    ? undefined
    : await finishedJob(trx, { userId: document.user_id, documentId: document.document_id, configKey: key });
  const { job, attached } = await insertJob(trx, newJob(deps, document, key, now, options, duplicate));
  const base = { at: now, subject: { ...job, run_id: options.runId }, stage: 'upload' };
  if (attached) {
    // What this upload asks for beyond the work itself holds for the job it attaches to.
    await urgeJob(trx, job.job_id, { priority: options.priority, keepOld: options.keepOld });
    const event = await appendEvent(trx, { ...base, eventId: ids.uuid(), code: 'UPLOAD_ATTACHED' });
    return { state: 'attached' as const, job, events: [event] };
  }
  if (duplicate !== undefined) {
    const data = { duplicate_of: duplicate.job_id };
    const event = await appendEvent(trx, {
      ...base,
      eventId: ids.uuid(),
      code: 'UPLOAD_DEDUP_HIT',
      to: 'duplicate',
      data,
    });
    return { state: 'duplicate' as const, job, events: [event] };
  }
  const { pages, bytes_len: bytes, file_sha256 } = document;
  const events = [
    await appendEvent(trx, {
      ...base,
      eventId: ids.uuid(),
      code: 'UPLOAD_ACCEPTED',
      to: 'uploaded',
      data: { pages, bytes, sha256: file_sha256 },
    }),
    await appendEvent(trx, { ...base, eventId: ids.uuid(), code: 'ROUTE_DECIDED', data: { ...options.decision } }),
  ];
  for (const [service, route] of Object.entries(options.decision.services)) {
    if (!route.fallback) continue;
    const data = { service, to: route.use, reason: route.why };
    events.push(await appendEvent(trx, { ...base, eventId: ids.uuid(), code: 'FALLBACK', severity: 'warn', data }));
  }
  return { state: 'accepted' as const, job, events };
}

/** The row of a job that is about to be made. */
export function newJob(
  { ids, settings }: PipelineDeps,
  document: DocumentRow,
  key: string,
  now: number,
  options: AcceptOptions,
  duplicate?: JobRow,
): NewJob {
  const { decision } = options;
  const { estimate } = options.money ?? { estimate: { likely: 0, max: 0, priceVersion: null } };
  return {
    job_id: options.ids?.jobId ?? ids.uuid(),
    document_id: document.document_id,
    user_id: document.user_id,
    correlation_id: ids.uuid(),
    run_id: options.runId,
    status: duplicate === undefined ? 'uploaded' : 'duplicate',
    duplicate_of: duplicate?.job_id ?? null,
    service_mode: decision.mode,
    service_router_config: JSON.stringify(decision),
    cost_estimate: JSON.stringify({
      pages: document.pages,
      likely_nano_usd: estimate.likely,
      max_nano_usd: estimate.max,
      price_version: estimate.priceVersion,
    }),
    consent_nano_usd: options.money?.consentNanoUsd ?? null,
    processing_priority: options.priority,
    service_health_status: JSON.stringify({}),
    fallback_triggered: Object.values(decision.services).some((route) => route.fallback) ? 1 : 0,
    cost_center: options.costCenter,
    tags: JSON.stringify(options.tags),
    config_key: key,
    raw_path: document.raw_path,
    chunks_version: chunkerKey(chunkOptions(settings)),
    progress: JSON.stringify({ pages: document.pages }),
    keep_old: options.keepOld ? 1 : 0,
    parse_options: JSON.stringify(options.parse ?? parseOptions(settings)),
    no_cache: options.noCache === true ? 1 : 0,
    economy: options.economy === true ? 1 : 0,
    processing_completed_at: duplicate === undefined ? null : now,
    created_at: now,
    updated_at: now,
  };
}

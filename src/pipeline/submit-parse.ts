/** `uploaded`: chooses the parser, commits the intent to parse, moves on. Nothing has left this machine after it. */

import { parseId } from '../base/derived-ids.ts';
import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { ParseService } from '../services/parse/port.ts';
import { failedRemotely, insertIntent, latestAttempt, parsesInFlight } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import { cachedParse } from '../store/parse-cache.ts';
import { putParse } from '../store/parses.ts';
import type { AttemptRow, DocumentRow, JobRow } from '../store/schema.ts';
import { holdParse } from './attempt-money.ts';
import { decisionOf, parseOptionsOf, requireSameDecision, routeChange, routeOf, unusable } from './route.ts';
import { InsteadError, type Outcome, type Stage, type StageContext, type StageEvent, withProgress } from './stage.ts';
import { pagesToRetry, parseIdentity } from './validate-parse.ts';

/** What was asked for besides the bytes; stored with the attempt as JSON. */
export interface ParseAttemptOptions {
  version: string;
  /** Only these pages; absent means all. */
  pages?: readonly number[];
  /** The service is to forget an earlier result of its own. */
  fresh?: boolean;
}

/** When a job looks again for a free slot at the parse service; the end of another job's parse wakes it sooner. */
const SLOT_LOOK_MS = 30_000;

/** The document of a job. Throws E417 when it was deleted or its stored bytes are gone. */
export async function storedDocument(job: JobRow, { store, storage }: StageContext): Promise<DocumentRow> {
  const document = await documentById(store.db, job.document_id);
  if (document === undefined || !(await storage.hasLength(document.raw_path, document.bytes_len))) {
    throw new TvdbError('E417', { message: 'The stored bytes of this document are missing or cut short' });
  }
  return document;
}

export const submitParse: Stage = async (job, context) => {
  const { router, clock, settings, store } = context;
  const open = await latestAttempt(store.db, job.job_id, 'parse');
  if (open !== undefined && mayBeThere(open)) return reattached(open);
  const again = await pagesToRetry(job, store.db);
  const stored = decisionOf(job).services.llamaparse;
  // The other pages are paid and here: the missing ones come from the same service, however long that takes.
  const stays = again !== null && stored.use === 'real' && router.usable('llamaparse');
  const route = stays ? stored : await routeOf('llamaparse', job, context);
  if (route.use === null) return unusable('llamaparse', route, job, clock.now());
  const service = await router.parseService(route.use, parseOptionsOf(job, settings));
  const document = await storedDocument(job, context);
  const { set, before } = routeChange(job, 'llamaparse', route);
  const chosen = {
    ...set,
    parse_id: parseId(document.document_id, service.parserName, service.parserVersion),
    parser_name: service.parserName,
    parser_version: service.parserVersion,
    parse_origin: service.origin,
  };
  const plan: Plan = { job, document, service, set: chosen, before };
  // Of another parser the whole document is wanted: its pages are not mixed with those of the first.
  const retryPages = chosen.parse_id === job.parse_id ? again : null;
  if (retryPages === null) {
    const known = await fromCache(plan, context);
    if (known !== null) return known;
  }
  return await intend(plan, retryPages, context);
};

/** Whether a paid service has a parse of this attempt, or may have it: nothing ended it yet. */
export function mayBeThere({ origin, outcome }: AttemptRow): boolean {
  return origin === 'real' && (outcome === 'sent' || outcome === 'unknown' || outcome === 'adopted');
}

/**
 * The job failed while its parse was under way, for a reason of another kind (nobody could ask how it stands), and the
 * user wants it tried again: that parse is paid, so it is waited for instead of made anew.
 */
function reattached({ attempt_id: attemptId, remote_id: remoteId }: AttemptRow): Outcome {
  const data = { remote_id: remoteId, why: 'an earlier request may still bring the result' };
  return { kind: 'move', to: 'parse_queued', event: { code: 'PARSE_ADOPTED', attemptId, data } };
}

interface Plan {
  job: JobRow;
  document: DocumentRow;
  service: ParseService;
  set: { [column: string]: unknown } & { parse_id: string };
  before: readonly StageEvent[];
}

/** The same bytes were parsed with the same options before, for whatever document: nothing is asked and nothing is paid. */
async function fromCache(plan: Plan, { store, clock }: StageContext): Promise<Outcome | null> {
  const { job, document, service, set, before } = plan;
  if (service.origin === 'mock') return null;
  const identity = parseIdentity(document, service);
  const known = await store.write((trx) => cachedParse(trx, identity, clock.now()));
  // A job that was to be made without the cache may still use what was made for it.
  if (known === null || (job.no_cache === 1 && known.madeAt < job.created_at)) return null;
  return {
    kind: 'move',
    to: 'parsed',
    before,
    event: {
      code: 'PARSE_CACHE_HIT',
      data: { pages: known.pages.length, origin: service.origin, credits: known.credits },
    },
    set: { ...set, progress: withProgress(job, { pages: known.pages.length }) },
    ...(before.length > 0 && { check: (trx) => requireSameDecision(trx, job) }),
    write: async (trx) => {
      await putParse(trx, {
        parse_id: set.parse_id,
        document_id: document.document_id,
        parser_name: service.parserName,
        parser_version: service.parserVersion,
        origin: service.origin,
        pages: known.pages,
        created_at: clock.now(),
      });
    },
  };
}

/** Commits the attempt; for a paid service only while it has a free slot. */
async function intend(plan: Plan, pages: readonly number[] | null, context: StageContext): Promise<Outcome> {
  const { job, document, service, set, before } = plan;
  const { ids, clock, settings, store, runId } = context;
  const real = service.origin === 'real';
  if (real && (await parsesInFlight(store.db)) >= settings.LLAMAPARSE_PARALLEL) return noSlot(context);
  const attemptId = ids.uuid();
  const fresh = real && (job.no_cache === 1 || (await failedRemotely(store.db, document.document_id)));
  const options: ParseAttemptOptions = {
    version: service.parserVersion,
    ...(pages !== null && { pages }),
    ...(fresh && { fresh }),
  };
  const units = pages?.length ?? document.pages;
  reach('parse.before_intent');
  return {
    kind: 'move',
    to: 'parse_queued',
    before,
    event: {
      code: 'PARSE_INTENT',
      attemptId,
      data: {
        parser: service.parserName,
        version: service.parserVersion,
        origin: service.origin,
        pages: units,
        ...(pages !== null && { again: pages.slice(0, 50) }),
      },
    },
    set,
    check: async (trx) => {
      // Counted again under the write lock: other processes submit too.
      if (real && (await parsesInFlight(trx)) >= settings.LLAMAPARSE_PARALLEL) throw new InsteadError(noSlot(context));
      if (before.length > 0) await requireSameDecision(trx, job);
    },
    write: async (trx) => {
      await insertIntent(trx, {
        attemptId,
        jobId: job.job_id,
        service: 'parse',
        operation: pages === null ? 'parse' : 'parse_pages',
        requestHash: sha256(
          canonicalJson({ sha256: document.file_sha256, parser: service.parserName, ...options } as never),
        ),
        units,
        origin: service.origin,
        now: clock.now(),
        runId,
        options: JSON.stringify(options),
      });
      if (real) {
        const payer = { attemptId, runId: runId ?? job.run_id, costCenter: job.cost_center, shares: [{ job, units }] };
        await holdParse(trx, payer, units, parseOptionsOf(job, settings).tier, context);
      }
    },
  };
}

function noSlot({ clock, settings }: StageContext): Outcome {
  const { LLAMAPARSE_PARALLEL: slots } = settings;
  return {
    kind: 'park',
    reason: 'rate_limit',
    until: clock.now() + SLOT_LOOK_MS,
    note: `the parse service works on ${slots} of ${slots} documents at a time (LLAMAPARSE_PARALLEL)`,
  };
}

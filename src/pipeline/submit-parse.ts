/** `uploaded`: chooses the parser, commits the intent to parse, moves on. Nothing has left this machine after it. */

import { parseId } from '../base/derived-ids.ts';
import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { RouterDecision } from '../services/router.ts';
import { insertIntent } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import type { DocumentRow, JobRow } from '../store/schema.ts';
import type { Stage, StageContext } from './stage.ts';

/** The decision made for a job when it was accepted. */
export function decisionOf(job: Pick<JobRow, 'service_router_config'>): RouterDecision {
  return JSON.parse(job.service_router_config) as RouterDecision;
}

/** The document of a job. Throws E417 when it was deleted or its stored bytes are gone. */
export async function storedDocument(job: JobRow, { store, storage }: StageContext): Promise<DocumentRow> {
  const document = await documentById(store.db, job.document_id);
  if (document === undefined || !(await storage.hasLength(document.raw_path, document.bytes_len))) {
    throw new TvdbError('E417', { message: 'The stored bytes of this document are missing or cut short' });
  }
  return document;
}

export const submitParse: Stage = async (job, context) => {
  const { router, ids, clock } = context;
  const route = decisionOf(job).services.llamaparse;
  if (route.use === null) {
    return {
      kind: 'park',
      reason: 'service_unavailable',
      until: null,
      note: `no parse service may be used (${route.why})`,
    };
  }
  const service = await router.parseService(route.use);
  const document = await storedDocument(job, context);
  const attemptId = ids.uuid();
  const request = { sha256: document.file_sha256, parser: service.parserName, version: service.parserVersion };
  reach('parse.before_intent');
  return {
    kind: 'move',
    to: 'parse_queued',
    event: {
      code: 'PARSE_INTENT',
      attemptId,
      data: {
        parser: service.parserName,
        version: service.parserVersion,
        origin: service.origin,
        pages: document.pages,
      },
    },
    set: {
      parse_id: parseId(document.document_id, service.parserName, service.parserVersion),
      parser_name: service.parserName,
      parser_version: service.parserVersion,
      parse_origin: service.origin,
    },
    write: (trx) =>
      insertIntent(trx, {
        attemptId,
        jobId: job.job_id,
        service: 'parse',
        operation: 'parse',
        requestHash: sha256(canonicalJson(request)),
        units: document.pages,
        origin: service.origin,
        now: clock.now(),
      }),
  };
};

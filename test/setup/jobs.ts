/** Rows for tests that need jobs in a store without running the pipeline. */
import type { Ids } from '../../src/base/ids.ts';
import { insertDocument } from '../../src/store/documents.ts';
import { insertJob } from '../../src/store/jobs/insert.ts';
import type { Store, Trx } from '../../src/store/open.ts';
import type { DocumentRow, JobRow, NewJob } from '../../src/store/schema.ts';

export const USER = 'aaaaaaaa-0000-4000-8000-000000000001';

export function documentRow(ids: Ids, changes: Partial<DocumentRow> = {}): DocumentRow {
  const documentId = ids.uuid();
  return {
    document_id: documentId,
    user_id: USER,
    filename: 'letter.pdf',
    mime: 'application/pdf',
    bytes_len: 1000,
    pages: 1,
    file_sha256: documentId.replaceAll('-', '').padEnd(64, '0'),
    raw_path: `storage://raw/${USER}/${documentId}.pdf`,
    parsed_path: null,
    parsed_sha256: null,
    source_path: null,
    source_at: 1,
    superseded_by: null,
    created_at: 1,
    ...changes,
  };
}

export function jobRow(ids: Ids, document: DocumentRow, changes: Partial<NewJob> = {}): NewJob {
  return {
    job_id: ids.uuid(),
    document_id: document.document_id,
    user_id: document.user_id,
    correlation_id: ids.uuid(),
    run_id: 'bbbbbbbb-0000-4000-8000-000000000001',
    status: 'uploaded',
    service_mode: 'mock',
    service_router_config: JSON.stringify({
      mode: 'mock',
      services: {
        llamaparse: { use: 'mock', why: 'mode_mock', fallback: false },
        openai: { use: 'mock', why: 'mode_mock', fallback: false },
      },
    }),
    cost_estimate: '{}',
    service_health_status: '{}',
    tags: '{}',
    config_key: 'k'.repeat(64),
    raw_path: document.raw_path,
    chunks_version: 'markdown-simple@1',
    progress: '{}',
    created_at: 1,
    updated_at: 1,
    ...changes,
  };
}

/** Inserts a document with one job. */
export async function addJob(store: Store, ids: Ids, changes: Partial<NewJob> = {}): Promise<JobRow> {
  return store.write(async (trx: Trx) => {
    const document = documentRow(ids);
    await insertDocument(trx, document);
    return (await insertJob(trx, jobRow(ids, document, changes))).job;
  });
}

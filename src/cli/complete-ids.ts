/** Ids for shell completion: from the local store alone, newest first, and never making a store. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { shortId } from '../base/ids.ts';
import type { Config } from '../config/load.ts';
import { listJobs } from '../store/jobs/find.ts';
import { openStore, STORE_FILE } from '../store/open.ts';
import type { IdSuggestion } from './command.ts';

/** Newest jobs looked at: enough for a person, and done within a few milliseconds. */
const LOOKED_AT = 50;

/** Short ids of jobs and documents that begin with `prefix`, each with what it stands for. Nothing when there is no store. */
export async function completeIds(prefix: string, { home }: Config): Promise<readonly IdSuggestion[]> {
  if (!existsSync(join(home, STORE_FILE))) return [];
  const store = openStore({ home });
  try {
    const found = new Map<string, string>();
    for (const job of await listJobs(store.db, { limit: LOOKED_AT })) {
      found.set(shortId(job.job_id), `job, ${job.status}, ${job.filename ?? 'deleted'}`);
      found.set(shortId(job.document_id), `document, ${job.filename ?? 'deleted'}`);
    }
    return [...found].filter(([id]) => id.startsWith(prefix)).map(([value, description]) => ({ value, description }));
  } finally {
    await store.close();
  }
}

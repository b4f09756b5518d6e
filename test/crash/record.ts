/** What a store says was done for each job, and the bytes that were written: the evidence of "each once". */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { openStore } from '../../src/store/open.ts';

export interface Work {
  status: string;
  /** PARSE_INTENT events. */
  intents: number;
  /** Parse attempts that brought a result. */
  parses: number;
  /** Embed attempts that brought vectors. */
  embeds: number;
  /** Vectors the job needed. */
  vectors: number;
  /** LEASE_RECLAIMED events: the job was taken from a worker. */
  reclaimed: number;
}

/** The work on each job, in the order they were accepted. */
export async function workDone(home: string): Promise<Work[]> {
  const store = openStore({ home: join(home, 'store') });
  try {
    return store.sqlite
      .prepare(
        `SELECT j.status,
           (SELECT COUNT(*) FROM job_events e WHERE e.job_id = j.job_id AND e.code = 'PARSE_INTENT') AS intents,
           (SELECT COUNT(*) FROM attempts a WHERE a.job_id = j.job_id AND a.service = 'parse' AND a.outcome = 'ok') AS parses,
           (SELECT COUNT(*) FROM attempts a WHERE a.job_id = j.job_id AND a.service = 'embed' AND a.outcome = 'ok') AS embeds,
           COALESCE(j.progress ->> 'embeds_total', 0) AS vectors,
           (SELECT COUNT(*) FROM job_events e WHERE e.job_id = j.job_id AND e.code = 'LEASE_RECLAIMED') AS reclaimed
         FROM upload_jobs j ORDER BY j.created_at, j.job_id`,
      )
      .all() as Work[];
  } finally {
    await store.close();
  }
}

/** SHA-256 of every stored file, by its path in the storage. Temp files are not stored yet. */
export function storedFiles(home: string): Map<string, string> {
  const root = join(home, 'store', 'storage');
  const files = new Map<string, string>();
  for (const bucket of ['raw', 'parsed']) {
    if (!existsSync(join(root, bucket))) continue;
    for (const entry of readdirSync(join(root, bucket), { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile())
        files.set(relative(root, path), createHash('sha256').update(readFileSync(path)).digest('hex'));
    }
  }
  return files;
}

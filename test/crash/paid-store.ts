/** What the store of a case says it did and paid: one side of the comparison that `paid-witness.ts` makes. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { foldCheck, verifyChain } from '../../src/ledger/verify.ts';
import { openStore } from '../../src/store/open.ts';

export interface StoredAttempt {
  attempt_id: string;
  service: 'parse' | 'embed';
  outcome: string;
  remote_id: string | null;
  file_sha256: string;
}

/** A hold of money and how it ended. */
export interface StoredHold {
  attempt_id: string;
  service: 'llamaparse' | 'openai';
  state: 'open' | 'settled' | 'released' | 'unknown';
  /** Nano-dollars settled, an overrun included. */
  paid: number;
}

export interface StoreSide {
  /** `held`: rests until the user does something. */
  jobs: { job_id: string; status: string; held: 0 | 1; file_sha256: string }[];
  attempts: StoredAttempt[];
  /** Event codes with how often each was written. */
  events: Record<string, number>;
  holds: StoredHold[];
  /** The chain is whole, and every cached total is what its rows add up to. */
  ledgerOk: boolean;
}

/** SHA-256 of every file in a directory. */
export function hashesOf(directory: string): string[] {
  return readdirSync(directory).map((name) =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex'),
  );
}

/** What the store of a case says it did. */
export async function storeSide(home: string): Promise<StoreSide> {
  const store = openStore({ home: join(home, 'store') });
  try {
    const all = <T>(query: string) => store.sqlite.prepare(query).all() as T[];
    return {
      jobs: all(
        `SELECT j.job_id, j.status, j.park_reason IS NOT NULL AND j.run_after IS NULL AS held, d.file_sha256
         FROM upload_jobs j JOIN documents d ON d.document_id = j.document_id ORDER BY j.created_at`,
      ),
      attempts: all(
        `SELECT a.attempt_id, a.service, a.outcome, a.remote_id, d.file_sha256 FROM attempts a
         JOIN upload_jobs j ON j.job_id = a.job_id JOIN documents d ON d.document_id = j.document_id ORDER BY a.rowid`,
      ),
      holds: all('SELECT attempt_id, service, state, COALESCE(settled_amount, 0) AS paid FROM holds'),
      ledgerOk: (await foldCheck(store.db)).ok && (await verifyChain(store.db)).ok,
      events: Object.fromEntries(
        all<{ code: string; times: number }>('SELECT code, COUNT(*) AS times FROM job_events GROUP BY code').map(
          ({ code, times }) => [code, times],
        ),
      ),
    };
  } finally {
    await store.close();
  }
}

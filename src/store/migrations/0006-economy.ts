/** Embeddings through a batch API: jobs that may take it, and the batches they have. */

export const name = '0006-economy';

export const sql = `
-- 1: its embeddings may wait up to a day, at half the price.
ALTER TABLE upload_jobs ADD COLUMN economy INTEGER NOT NULL DEFAULT 0 CHECK (economy IN (0, 1));

-- One row for each attempt whose operation is embed_batch.
CREATE TABLE embed_batches (
  attempt_id TEXT PRIMARY KEY REFERENCES attempts (attempt_id),
  job_id TEXT NOT NULL,
  -- JSON: the embedding space of its vectors.
  space TEXT NOT NULL,
  rows INTEGER NOT NULL CHECK (rows > 0),
  -- As the service said last.
  status TEXT NOT NULL,
  answered INTEGER NOT NULL DEFAULT 0,
  -- Rows that would be refused again.
  refused INTEGER NOT NULL DEFAULT 0,
  -- NULL while it may still bring something.
  ended_at INTEGER
) STRICT;
CREATE INDEX embed_batches_by_job ON embed_batches (job_id);
CREATE INDEX embed_batches_open ON embed_batches (job_id) WHERE ended_at IS NULL;
`;

/** The store of the offline pipeline: documents, jobs, events, parses, chunks, vectors. */
import { JOB_STATUSES, PARK_REASONS } from '../../domain/job-state.ts';

const quoted = (values: readonly string[]) => values.map((value) => `'${value}'`).join(', ');

export const name = '0001-pipeline';

export const sql = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE documents (
  document_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  filename TEXT NOT NULL,
  mime TEXT NOT NULL,
  bytes_len INTEGER NOT NULL CHECK (bytes_len > 0),
  pages INTEGER NOT NULL CHECK (pages > 0),
  file_sha256 TEXT NOT NULL CHECK (length(file_sha256) = 64),
  raw_path TEXT NOT NULL,
  parsed_path TEXT,
  parsed_sha256 TEXT,
  source_path TEXT,
  source_at INTEGER NOT NULL,
  superseded_by TEXT,
  created_at INTEGER NOT NULL,
  UNIQUE (user_id, file_sha256)
) STRICT;
CREATE INDEX documents_by_source ON documents (user_id, source_path) WHERE source_path IS NOT NULL;

CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  command TEXT NOT NULL,
  service_mode TEXT,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  exit_code INTEGER
) STRICT;

CREATE TABLE run_jobs (
  run_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  PRIMARY KEY (run_id, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_jobs_by_job ON run_jobs (job_id);

-- Jobs outlive their document: a deleted document leaves the record of what was done, without its content.
CREATE TABLE upload_jobs (
  job_id TEXT PRIMARY KEY,
  document_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  correlation_id TEXT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN (${quoted(JOB_STATUSES)})),
  service_mode TEXT NOT NULL CHECK (service_mode IN ('mock', 'real', 'hybrid')),
  service_router_config TEXT NOT NULL,
  cost_estimate TEXT NOT NULL,
  processing_priority INTEGER NOT NULL DEFAULT 0,
  service_health_status TEXT NOT NULL,
  cost_tracking_enabled INTEGER NOT NULL DEFAULT 1,
  fallback_triggered INTEGER NOT NULL DEFAULT 0,
  cost_center TEXT,
  tags TEXT NOT NULL,
  config_key TEXT NOT NULL,
  raw_path TEXT NOT NULL,
  parsed_path TEXT,
  parsed_sha256 TEXT,
  parse_id TEXT,
  parser_name TEXT,
  parser_version TEXT,
  parse_origin TEXT,
  chunks_version TEXT NOT NULL,
  embed_model TEXT,
  embed_version TEXT,
  embedding_space TEXT,
  embed_origin TEXT,
  progress TEXT NOT NULL,
  retry_count INTEGER NOT NULL DEFAULT 0,
  recoveries INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  park_reason TEXT CHECK (park_reason IN (${quoted(PARK_REASONS)})),
  park_note TEXT,
  run_after INTEGER,
  lease_owner TEXT,
  lease_until INTEGER,
  fence INTEGER NOT NULL DEFAULT 0,
  duplicate_of TEXT,
  keep_old INTEGER NOT NULL DEFAULT 0,
  processing_started_at INTEGER,
  processing_completed_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
  CHECK (lease_owner IS NULL OR park_reason IS NULL)
) STRICT;
-- Two live jobs never do the same work: the second upload attaches to the first.
CREATE UNIQUE INDEX one_live_job ON upload_jobs (user_id, document_id, config_key)
  WHERE status IN ('uploaded', 'parse_queued', 'parsed', 'parse_validated', 'chunking', 'chunks_stored',
    'embedding_queued', 'embedding_in_progress', 'embeddings_stored');
CREATE INDEX claimable_jobs ON upload_jobs (processing_priority DESC, created_at)
  WHERE lease_owner IS NULL AND status IN ('uploaded', 'parse_queued', 'parsed', 'parse_validated', 'chunking',
    'chunks_stored', 'embedding_queued', 'embedding_in_progress', 'embeddings_stored');
CREATE INDEX leased_jobs ON upload_jobs (lease_until) WHERE lease_owner IS NOT NULL;
CREATE INDEX jobs_by_document ON upload_jobs (document_id, created_at);
CREATE INDEX jobs_by_time ON upload_jobs (created_at);

CREATE TABLE job_events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL UNIQUE,
  job_id TEXT,
  document_id TEXT,
  correlation_id TEXT,
  run_id TEXT,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('debug', 'info', 'warn', 'error')),
  code TEXT NOT NULL,
  from_status TEXT,
  to_status TEXT,
  stage TEXT,
  attempt_id TEXT,
  duration_ms INTEGER,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX job_events_by_job ON job_events (job_id, seq);
CREATE TRIGGER job_events_no_update BEFORE UPDATE ON job_events BEGIN SELECT RAISE(ABORT, 'job_events is append-only'); END;
CREATE TRIGGER job_events_no_delete BEFORE DELETE ON job_events BEGIN SELECT RAISE(ABORT, 'job_events is append-only'); END;

CREATE TABLE attempts (
  attempt_id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('parse', 'embed')),
  operation TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  units INTEGER NOT NULL CHECK (units > 0),
  started_at INTEGER NOT NULL,
  sent INTEGER,
  remote_id TEXT,
  outcome TEXT NOT NULL CHECK (outcome IN ('intent', 'sent', 'ok', 'failed', 'unknown', 'adopted')),
  http_status INTEGER,
  upstream_request_id TEXT,
  latency_ms INTEGER,
  origin TEXT NOT NULL CHECK (origin IN ('mock', 'real')),
  error TEXT
) STRICT;
CREATE INDEX attempts_by_job ON attempts (job_id, started_at);
CREATE INDEX attempts_by_time ON attempts (started_at);
CREATE INDEX attempts_by_remote ON attempts (remote_id) WHERE remote_id IS NOT NULL;

CREATE TABLE parses (
  parse_id TEXT PRIMARY KEY,
  document_id TEXT NOT NULL,
  parser_name TEXT NOT NULL,
  parser_version TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('mock', 'real')),
  pages TEXT NOT NULL,
  markdown TEXT,
  page_starts TEXT,
  markdown_sha256 TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX parses_by_document ON parses (document_id);

CREATE TABLE chunk_buffer (
  job_id TEXT NOT NULL,
  chunk_id TEXT NOT NULL,
  chunk_ord INTEGER NOT NULL,
  chunker TEXT NOT NULL,
  text TEXT NOT NULL,
  chunk_sha TEXT NOT NULL,
  page_from INTEGER NOT NULL,
  page_to INTEGER NOT NULL,
  heading_path TEXT NOT NULL,
  token_count INTEGER NOT NULL,
  PRIMARY KEY (job_id, chunk_ord)
) STRICT, WITHOUT ROWID;

CREATE TABLE vector_buffer (
  job_id TEXT NOT NULL,
  chunk_id TEXT NOT NULL,
  embedding_space TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('mock', 'real')),
  vector BLOB NOT NULL,
  vector_sha TEXT NOT NULL,
  UNIQUE (job_id, chunk_id)
) STRICT;

-- chunk_no is declared because VACUUM gives undeclared row ids anew, and chunk_words refers to it.
CREATE TABLE document_chunks (
  chunk_no INTEGER PRIMARY KEY,
  chunk_id TEXT NOT NULL UNIQUE,
  document_id TEXT NOT NULL,
  parse_id TEXT NOT NULL,
  chunk_ord INTEGER NOT NULL,
  chunker TEXT NOT NULL,
  text TEXT NOT NULL,
  chunk_sha TEXT NOT NULL,
  page_from INTEGER NOT NULL,
  page_to INTEGER NOT NULL,
  heading_path TEXT NOT NULL,
  token_count INTEGER NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('mock', 'real'))
) STRICT;
CREATE INDEX chunks_by_document ON document_chunks (document_id, chunk_ord);

-- The terms of each chunk and of the headings above it (domain/words.ts), under its chunk_no. Without a copy of the text:
-- 56 instead of 159 MB for 100,000 chunks, and a document goes in 22 ms instead of 1.7 s. A deleted row is only marked; the
-- purge takes its terms out of the file. The tokenizer splits at spaces alone, for all else is done before.
CREATE VIRTUAL TABLE chunk_words USING fts5(terms, content = '', contentless_delete = 1, tokenize = 'ascii');
CREATE VIRTUAL TABLE chunk_vocabulary USING fts5vocab(chunk_words, 'row');
CREATE TRIGGER chunk_words_follow AFTER DELETE ON document_chunks BEGIN
  DELETE FROM chunk_words WHERE rowid = old.chunk_no;
END;

CREATE TABLE embedding_spaces (
  space_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  dimensions INTEGER NOT NULL CHECK (dimensions > 0)
) STRICT;

-- Vectors stay in plain tables: sqlite-vec's functions scan them about as fast as its virtual table does, and foreign keys,
-- transactions and backups work as everywhere else (figures in src/search/query.ts).
CREATE TABLE vectors (
  vector_id INTEGER PRIMARY KEY,
  space_id INTEGER NOT NULL REFERENCES embedding_spaces (space_id),
  chunk_id TEXT NOT NULL REFERENCES document_chunks (chunk_id) ON DELETE CASCADE,
  document_id TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('mock', 'real')),
  vector BLOB NOT NULL,
  vector_sha TEXT NOT NULL,
  UNIQUE (chunk_id, space_id)
) STRICT;
-- Walks one space in the order of the table, so that a scan reads pages in sequence.
CREATE UNIQUE INDEX vectors_by_space ON vectors (space_id, vector_id);
CREATE INDEX vectors_by_document ON vectors (document_id, space_id);

-- Apart from the vectors and clustered by space: the coarse scan reads 200 bytes a chunk instead of 6.4 kB.
CREATE TABLE vector_bits (
  space_id INTEGER NOT NULL,
  vector_id INTEGER NOT NULL,
  bits BLOB NOT NULL,
  PRIMARY KEY (space_id, vector_id),
  FOREIGN KEY (space_id, vector_id) REFERENCES vectors (space_id, vector_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
  worker_id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  pid INTEGER NOT NULL,
  pid_started TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL
) STRICT;

CREATE TABLE mode_changes (
  changed_at INTEGER NOT NULL,
  from_mode TEXT,
  to_mode TEXT NOT NULL,
  changed_by TEXT NOT NULL
) STRICT;
`;

/** The real services: shared attempts, the webhook inbox, breakers, limits, health, caches, key audit. */

export const name = '0002-services';

export const sql = `
-- The invocation that sent it; the service's own figure of what it billed; options as JSON (tier, version, pages).
ALTER TABLE attempts ADD COLUMN run_id TEXT;
ALTER TABLE attempts ADD COLUMN billed_units INTEGER;
ALTER TABLE attempts ADD COLUMN options TEXT;
CREATE INDEX attempts_in_flight ON attempts (service, origin) WHERE outcome IN ('intent', 'sent', 'unknown', 'adopted');

-- One request may carry chunks of several jobs: the shares of the jobs besides the one the attempt is filed under.
CREATE TABLE attempt_shares (
  attempt_id TEXT NOT NULL REFERENCES attempts (attempt_id),
  job_id TEXT NOT NULL,
  units INTEGER NOT NULL CHECK (units > 0),
  PRIMARY KEY (attempt_id, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_shares_by_job ON attempt_shares (job_id);

ALTER TABLE upload_jobs ADD COLUMN parse_options TEXT;
-- 1: neither cache may answer; parse and embed again.
ALTER TABLE upload_jobs ADD COLUMN no_cache INTEGER NOT NULL DEFAULT 0;
-- The complete job whose fallen-back parts this one redoes for real.
ALTER TABLE upload_jobs ADD COLUMN upgrades_job TEXT;
CREATE INDEX upload_jobs_upgrades ON upload_jobs (upgrades_job) WHERE upgrades_job IS NOT NULL;

-- JSON array of page numbers that were accepted although they failed, came empty or were cut.
ALTER TABLE parses ADD COLUMN incomplete_pages TEXT;

-- NULL for both: the saved mode of new jobs.
ALTER TABLE mode_changes ADD COLUMN service TEXT;
ALTER TABLE mode_changes ADD COLUMN job_id TEXT;

CREATE TABLE webhook_inbox (
  event_id TEXT PRIMARY KEY,
  received_at INTEGER NOT NULL,
  remote_job_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  handled_at INTEGER
) STRICT;
-- A delivery that is repeated under a new event id is still the same news.
CREATE UNIQUE INDEX webhook_inbox_by_news ON webhook_inbox (remote_job_id, event_type);
CREATE INDEX webhook_inbox_unhandled ON webhook_inbox (received_at) WHERE handled_at IS NULL;

CREATE TABLE breakers (
  service TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
  -- In a row while closed: failures of free requests, of billable ones, refusals for their rate; pauses in a row while open.
  failures INTEGER NOT NULL DEFAULT 0,
  paid_failures INTEGER NOT NULL DEFAULT 0,
  refusals INTEGER NOT NULL DEFAULT 0,
  pauses INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  -- Of the key the account was refused with: another key closes it.
  fingerprint TEXT,
  opened_at INTEGER,
  -- Earliest time of the next probe; NULL while open means that only the user closes it (a refused key, no credit).
  retry_at INTEGER,
  -- Who probes, and until when that counts: a prober that died must not keep the breaker half open for ever.
  probe_owner TEXT,
  probe_until INTEGER,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE rate_buckets (
  name TEXT PRIMARY KEY,
  tokens REAL NOT NULL,
  capacity REAL NOT NULL,
  per_ms REAL NOT NULL,
  -- The figure of the settings it was made for; capacity and per_ms are the service's own once it has told them.
  configured REAL NOT NULL,
  -- A take larger than the capacity that waits for a full bucket, and until when smaller ones stay behind it.
  queued REAL NOT NULL DEFAULT 0,
  queued_until INTEGER NOT NULL DEFAULT 0,
  -- Nothing leaves before this time, whatever the bucket holds (Retry-After).
  blocked_until INTEGER NOT NULL DEFAULT 0,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE service_health (
  service TEXT NOT NULL,
  origin TEXT NOT NULL,
  at INTEGER NOT NULL,
  operation TEXT NOT NULL,
  ok INTEGER NOT NULL,
  latency_ms INTEGER NOT NULL,
  http_status INTEGER,
  code TEXT
) STRICT;
CREATE INDEX service_health_by_time ON service_health (service, at);

-- Parses by content and options: whoever asks for the same again pays nothing. Pages as in parses.
CREATE TABLE parse_cache (
  cache_key TEXT PRIMARY KEY,
  file_sha256 TEXT NOT NULL,
  pages TEXT NOT NULL,
  origin TEXT NOT NULL,
  -- Credits it was billed when it was made; NULL when the service never said.
  credits INTEGER,
  made_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  uses INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX parse_cache_by_file ON parse_cache (file_sha256);

-- Vectors by space and text.
CREATE TABLE embedding_cache (
  embedding_space TEXT NOT NULL,
  chunk_sha TEXT NOT NULL,
  vector BLOB NOT NULL,
  vector_sha TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  made_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  PRIMARY KEY (embedding_space, chunk_sha)
) STRICT, WITHOUT ROWID;
CREATE INDEX embedding_cache_by_text ON embedding_cache (chunk_sha);

-- Documents that lie at the parse service already, by account (fingerprint of key and address).
CREATE TABLE remote_files (
  account TEXT NOT NULL,
  file_sha256 TEXT NOT NULL,
  file_id TEXT NOT NULL,
  uploaded_at INTEGER NOT NULL,
  PRIMARY KEY (account, file_sha256)
) STRICT, WITHOUT ROWID;

-- Which key was used or refused, by fingerprint; append-only.
CREATE TABLE key_audit (
  at INTEGER NOT NULL,
  service TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('first_use', 'refused', 'switched')),
  detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER key_audit_no_update BEFORE UPDATE ON key_audit BEGIN SELECT RAISE(ABORT, 'key_audit is append-only'); END;
CREATE TRIGGER key_audit_no_delete BEFORE DELETE ON key_audit BEGIN SELECT RAISE(ABORT, 'key_audit is append-only'); END;
`;

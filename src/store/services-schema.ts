/** The tables that concern the paid services: deliveries, breakers, limits, health, caches, keys. */
import type { Generated } from 'kysely';
import type { Origin, ServiceMode, ServiceName } from '../domain/service-mode.ts';

/** JSON kept as text; written and read through the functions of the store file that owns the table. */
type Json = string;

/** What a job has in a request that carries chunks of several. */
export interface AttemptSharesTable {
  attempt_id: string;
  job_id: string;
  units: number;
}

/** Verified deliveries; a hint to look, never a result. */
export interface WebhookInboxTable {
  /** From the signed body, never from a header. */
  event_id: string;
  received_at: number;
  remote_job_id: string;
  event_type: string;
  body_sha256: string;
  handled_at: number | null;
}

export interface BreakersTable {
  service: ServiceName;
  state: 'closed' | 'open' | 'half_open';
  failures: Generated<number>;
  paid_failures: Generated<number>;
  refusals: Generated<number>;
  pauses: Generated<number>;
  /** Label of the error that opened it. */
  reason: string | null;
  /** Of the key the account was refused with. */
  fingerprint: string | null;
  opened_at: number | null;
  retry_at: number | null;
  probe_owner: string | null;
  probe_until: number | null;
  updated_at: number;
}

export interface RateBucketsTable {
  /** `llamaparse:requests`, `openai:tokens`, `openai:retries`, … */
  name: string;
  tokens: number;
  capacity: number;
  per_ms: number;
  configured: number;
  queued: Generated<number>;
  queued_until: Generated<number>;
  blocked_until: Generated<number>;
  updated_at: number;
}

export interface ServiceHealthTable {
  service: ServiceName;
  origin: Origin;
  at: number;
  operation: string;
  ok: number;
  latency_ms: number;
  http_status: number | null;
  code: string | null;
}

export interface ParseCacheTable {
  cache_key: string;
  file_sha256: string;
  pages: Json;
  origin: Origin;
  credits: number | null;
  made_at: number;
  last_used_at: number;
  uses: Generated<number>;
}

export interface EmbeddingCacheTable {
  embedding_space: string;
  chunk_sha: string;
  /** Float32, little-endian. */
  vector: Buffer;
  vector_sha: string;
  tokens: number;
  made_at: number;
  last_used_at: number;
}

export interface RemoteFilesTable {
  account: string;
  file_sha256: string;
  file_id: string;
  uploaded_at: number;
}

export interface KeyAuditTable {
  at: number;
  service: ServiceName;
  /** First 8 hex digits of the SHA-256 of the key. */
  fingerprint: string;
  event: 'first_use' | 'refused' | 'switched';
  detail: string;
}

export interface EmbedBatchesTable {
  attempt_id: string;
  job_id: string;
  /** JSON: an `EmbeddingSpace`. */
  space: Json;
  rows: number;
  /** As the service said last; `created` before it said anything. */
  status: string;
  answered: Generated<number>;
  /** Rows that would be refused again. */
  refused: Generated<number>;
  /** `null` while it may still bring something. */
  ended_at: number | null;
}

export interface ModeChangesTable {
  changed_at: number;
  from_mode: ServiceMode | null;
  to_mode: ServiceMode;
  changed_by: string;
  /** The service whose wish was changed; `null`: the mode itself. A wish that was removed counts as the mode. */
  service: ServiceName | null;
  /** The unfinished job that was changed; `null`: the saved default. */
  job_id: string | null;
}

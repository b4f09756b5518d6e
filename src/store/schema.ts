/** The tables as Kysely sees them. The SQL that makes them is in `migrations/`; a test compares the two. */
import type { Generated, Insertable, Selectable } from 'kysely';
import type { JobStatus, ParkReason } from '../domain/job-state.ts';
import type { Origin, ServiceMode } from '../domain/service-mode.ts';
import type {
  ChunkBufferTable,
  ChunkWordsTable,
  DocumentChunksTable,
  EmbeddingSpacesTable,
  ParsesTable,
  VectorBitsTable,
  VectorBufferTable,
  VectorsTable,
} from './content-schema.ts';
import type { BudgetsTable, BudgetWindowsTable, HoldStatesTable, HoldsView, SpendTable } from './money-schema.ts';
import type {
  AttemptSharesTable,
  BreakersTable,
  EmbedBatchesTable,
  EmbeddingCacheTable,
  KeyAuditTable,
  ModeChangesTable,
  ParseCacheTable,
  RateBucketsTable,
  RemoteFilesTable,
  ServiceHealthTable,
  WebhookInboxTable,
} from './services-schema.ts';

/** JSON kept as text; written and read through the functions of the store file that owns the table. */
type Json = string;

/** Facts about this store: `user_id`, `signing_key`. */
export interface MetaTable {
  key: string;
  value: string;
}

export interface DocumentsTable {
  document_id: string;
  user_id: string;
  /** Cleaned for display; never a path. */
  filename: string;
  mime: string;
  bytes_len: number;
  /** Walked, never the count the file claims. */
  pages: number;
  file_sha256: string;
  /** `storage://raw/…` */
  raw_path: string;
  /** `storage://parsed/…`, once a job of this document is complete. */
  parsed_path: string | null;
  parsed_sha256: string | null;
  /** Absolute path it was uploaded from, `null` for standard input. */
  source_path: string | null;
  /** When that path last had these bytes: the order of its versions, unique for each path. */
  source_at: number;
  /** The newer version of the same path that took this document's place in search. */
  superseded_by: string | null;
  created_at: number;
}

/** One row per invocation of `upload` or `run`. */
export interface RunsTable {
  run_id: string;
  command: string;
  service_mode: ServiceMode | null;
  started_at: number;
  ended_at: number | null;
  exit_code: number | null;
}

/** Which jobs a run covers: its own and those in flight that it attached to. */
export interface RunJobsTable {
  run_id: string;
  job_id: string;
}

export interface UploadJobsTable {
  job_id: string;
  document_id: string;
  user_id: string;
  correlation_id: string;
  run_id: string;
  status: JobStatus;
  service_mode: ServiceMode;
  /** JSON: what was decided and why, per service. */
  service_router_config: Json;
  /** JSON: pages, tokens and their ceiling in nano-USD. */
  cost_estimate: Json;
  processing_priority: Generated<number>;
  /** JSON: health of the services when the job was made. */
  service_health_status: Json;
  cost_tracking_enabled: Generated<number>;
  fallback_triggered: Generated<number>;
  cost_center: string | null;
  /** JSON object of strings. */
  tags: Json;
  /** SHA-256 over the configuration; same user, bytes and key make a duplicate. */
  config_key: string;
  raw_path: string;
  parsed_path: string | null;
  parsed_sha256: string | null;
  parse_id: string | null;
  parser_name: string | null;
  parser_version: string | null;
  parse_origin: Origin | null;
  chunks_version: string;
  embed_model: string | null;
  embed_version: string | null;
  embedding_space: string | null;
  embed_origin: Origin | null;
  /** JSON: chunks_total, chunks_done, embeds_total, embeds_done, pages. */
  progress: Json;
  /** Tries of the present step that failed and were scheduled again. */
  retry_count: Generated<number>;
  /** Times a dead worker's lease on this job was taken back since it last moved. */
  recoveries: Generated<number>;
  /** JSON: a `StoredError`. */
  last_error: Json | null;
  park_reason: ParkReason | null;
  park_note: string | null;
  /** Earliest time of the next claim; with a park reason and no time, only the user wakes the job. */
  run_after: number | null;
  lease_owner: string | null;
  lease_until: number | null;
  /** Goes up at every claim and at every cancel; every write of a worker names the fence it holds. */
  fence: Generated<number>;
  /** For `duplicate`: the complete job it points to. */
  duplicate_of: string | null;
  keep_old: Generated<number>;
  /** JSON: `ParseOptions`; `null` for jobs made before there were any. */
  parse_options: Json | null;
  no_cache: Generated<number>;
  /** The complete job whose fallen-back parts this one redoes for real. */
  upgrades_job: string | null;
  /** Nano-USD it may spend in all, as agreed; `null`: nobody was asked. */
  consent_nano_usd: number | null;
  /** 1: its embeddings may wait up to a day, at half the price. */
  economy: Generated<number>;
  processing_started_at: number | null;
  processing_completed_at: number | null;
  created_at: number;
  updated_at: number;
}

/** Append-only; triggers refuse changes. */
export interface JobEventsTable {
  seq: Generated<number>;
  event_id: string;
  job_id: string | null;
  document_id: string | null;
  correlation_id: string | null;
  run_id: string | null;
  at: number;
  type: string;
  severity: 'debug' | 'info' | 'warn' | 'error';
  code: string;
  from_status: JobStatus | null;
  to_status: JobStatus | null;
  stage: string | null;
  attempt_id: string | null;
  duration_ms: number | null;
  data: Json;
}

/** One outbound request to a service; the row is committed before the request is sent. */
export interface AttemptsTable {
  attempt_id: string;
  job_id: string;
  service: 'parse' | 'embed';
  operation: string;
  request_hash: string;
  /** Pages or tokens asked for. */
  units: number;
  started_at: number;
  /** When the request was about to leave; `null` proves it never left. */
  sent: number | null;
  remote_id: string | null;
  outcome: 'intent' | 'sent' | 'ok' | 'failed' | 'unknown' | 'adopted';
  http_status: number | null;
  upstream_request_id: string | null;
  latency_ms: number | null;
  origin: Origin;
  /** JSON: a `StoredError`. */
  error: Json | null;
  /** The invocation that sent it. */
  run_id: string | null;
  /** Credits or tokens, as the service said; `null` until it does. */
  billed_units: number | null;
  /** JSON: what was asked for besides the bytes (tier, version, pages). */
  options: Json | null;
}

/** Processes that may hold leases. */
export interface WorkersTable {
  worker_id: string;
  host: string;
  boot_id: string;
  pid: number;
  /** Start time of the process as the kernel gives it, so that a reused pid is not taken for its owner. */
  pid_started: string;
  started_at: number;
  heartbeat_at: number;
}

export interface Database {
  meta: MetaTable;
  documents: DocumentsTable;
  runs: RunsTable;
  run_jobs: RunJobsTable;
  upload_jobs: UploadJobsTable;
  job_events: JobEventsTable;
  attempts: AttemptsTable;
  parses: ParsesTable;
  chunk_buffer: ChunkBufferTable;
  vector_buffer: VectorBufferTable;
  document_chunks: DocumentChunksTable;
  chunk_words: ChunkWordsTable;
  embedding_spaces: EmbeddingSpacesTable;
  vectors: VectorsTable;
  vector_bits: VectorBitsTable;
  workers: WorkersTable;
  mode_changes: ModeChangesTable;
  attempt_shares: AttemptSharesTable;
  webhook_inbox: WebhookInboxTable;
  breakers: BreakersTable;
  rate_buckets: RateBucketsTable;
  service_health: ServiceHealthTable;
  parse_cache: ParseCacheTable;
  embedding_cache: EmbeddingCacheTable;
  remote_files: RemoteFilesTable;
  key_audit: KeyAuditTable;
  embed_batches: EmbedBatchesTable;
  spend: SpendTable;
  holds: HoldsView;
  hold_states: HoldStatesTable;
  budgets: BudgetsTable;
  budget_windows: BudgetWindowsTable;
}

export type DocumentRow = Selectable<DocumentsTable>;
export type JobRow = Selectable<UploadJobsTable>;
export type NewJob = Insertable<UploadJobsTable>;
export type JobEventRow = Selectable<JobEventsTable>;
export type AttemptRow = Selectable<AttemptsTable>;
export type ParseRow = Selectable<ParsesTable>;
export type BufferedChunk = Selectable<ChunkBufferTable>;

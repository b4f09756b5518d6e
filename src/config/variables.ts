/**
 * Every setting of tvdb: its variable, its default, how its text is read, and one line of documentation.
 *
 * A variable that is not in this table cannot be read. `.env.tvdb001.example`, `tvdb config list` and
 * `tvdb help environment` are made from it, and a test holds the example file against it.
 */
import { SERVICE_MODES } from '../domain/service-mode.ts';
import * as read from './read.ts';

/** One setting. `parse` throws an `Error` whose message completes "NAME …" (for example: "must be a whole number"). */
export interface Variable<T> {
  /** Heading it stands under in the example file. */
  group: 'Mode' | 'Keys' | 'Places' | 'Upload limits' | 'Pipeline' | 'Mock services' | 'Worker' | 'Output';
  doc: string;
  /** Text form of the default; `undefined` means unset. */
  default: string | undefined;
  parse: (text: string) => T;
  /** Shown as its last four characters only, and scrubbed from every output. */
  secret?: boolean;
  /** For choices: the allowed values. */
  choices?: readonly string[];
}

const variable = <T>(row: Variable<T>): Variable<T> => row;

export const VARIABLES = {
  SERVICE_MODE: variable({
    group: 'Mode',
    doc: 'What new jobs use: mock (free, offline), real (the paid services), hybrid (real with a visible fallback).',
    default: 'mock',
    parse: read.choice(SERVICE_MODES),
    choices: SERVICE_MODES,
  }),
  LLAMAPARSE_API_KEY: variable({
    group: 'Keys',
    doc: 'Key of LlamaParse (LlamaCloud); LLAMA_CLOUD_API_KEY is read when this is unset.',
    default: undefined,
    parse: read.secret,
    secret: true,
  }),
  LLAMA_CLOUD_API_KEY: variable({
    group: 'Keys',
    doc: 'The same key under the name the LlamaCloud tools use.',
    default: undefined,
    parse: read.secret,
    secret: true,
  }),
  OPENAI_API_KEY: variable({
    group: 'Keys',
    doc: 'Key of OpenAI, for embeddings.',
    default: undefined,
    parse: read.secret,
    secret: true,
  }),
  TVDB_HOME: variable({
    group: 'Places',
    doc: 'Where the store, the documents and the logs are. Default: $XDG_DATA_HOME/tvdb, else ~/.local/share/tvdb.',
    default: undefined,
    parse: read.text,
  }),
  TVDB_USER_ID: variable({
    group: 'Places',
    doc: 'UUID of the user documents belong to. Default: made once for each store.',
    default: undefined,
    parse: read.uuid,
  }),
  TVDB_TIMEZONE: variable({
    group: 'Places',
    doc: 'Time zone of days and months in budgets and reports (IANA name).',
    default: 'UTC',
    parse: read.timeZone,
  }),
  MAX_FILE_MB: variable({
    group: 'Upload limits',
    doc: 'Largest file accepted, in megabytes (1,000,000 bytes).',
    default: '25',
    parse: read.integer(1, 512),
  }),
  MAX_PAGES: variable({
    group: 'Upload limits',
    doc: 'Most pages a document may have.',
    default: '200',
    parse: read.integer(1, 5000),
  }),
  PARSE_TIMEOUT: variable({
    group: 'Upload limits',
    doc: 'Longest time reading one document on this machine may take.',
    default: '120s',
    parse: read.duration(1_000, 3_600_000),
  }),
  INSPECT_TIMEOUT: variable({
    group: 'Upload limits',
    doc: 'Longest time counting the pages of one document may take.',
    default: '10s',
    parse: read.duration(1_000, 600_000),
  }),
  PARSE_MEMORY_MB: variable({
    group: 'Upload limits',
    doc: 'Most memory a process that reads a document may use, in megabytes.',
    default: '512',
    parse: read.integer(128, 16_384),
  }),
  CHUNK_TARGET_TOKENS: variable({
    group: 'Pipeline',
    doc: 'Size a chunk aims at. A change makes new chunks under a new version key.',
    default: '400',
    parse: read.integer(50, 4000),
  }),
  CHUNK_MAX_TOKENS: variable({
    group: 'Pipeline',
    doc: 'Size no chunk exceeds.',
    default: '800',
    parse: read.integer(60, 8000),
  }),
  CHUNK_OVERLAP_TOKENS: variable({
    group: 'Pipeline',
    doc: 'Tokens repeated from the chunk before, within one section.',
    default: '40',
    parse: read.integer(0, 1000),
  }),
  EMBED_BATCH_SIZE: variable({
    group: 'Pipeline',
    doc: 'Most chunks in one embedding request.',
    default: '128',
    parse: read.integer(1, 2048),
  }),
  MAX_RETRIES: variable({
    group: 'Pipeline',
    doc: 'How often a step that failed in passing is tried again before the job fails.',
    default: '4',
    parse: read.integer(0, 20),
  }),
  RETRY_BASE: variable({
    group: 'Pipeline',
    doc: 'First step of the growing wait between tries (full jitter).',
    default: '1s',
    parse: read.duration(1, 600_000),
  }),
  RETRY_CAP: variable({
    group: 'Pipeline',
    doc: 'Longest wait between tries.',
    default: '60s',
    parse: read.duration(1, 3_600_000),
  }),
  SIGNED_URL_TTL: variable({
    group: 'Pipeline',
    doc: 'How long a signed storage URL is valid.',
    default: '5m',
    parse: read.duration(1_000, 86_400_000),
  }),
  MOCK_PARSE_LATENCY: variable({
    group: 'Mock services',
    doc: 'Time the mock parser pretends to need for a document.',
    default: '0ms',
    parse: read.duration(0, 3_600_000),
  }),
  MOCK_PARSE_PAGE_LATENCY: variable({
    group: 'Mock services',
    doc: 'Time the mock parser pretends to need for each page, on top.',
    default: '0ms',
    parse: read.duration(0, 600_000),
  }),
  MOCK_PARSE_FAILURE_RATE: variable({
    group: 'Mock services',
    doc: 'Share of parse requests the mock parser refuses, 0 to 1.',
    default: '0',
    parse: read.share,
  }),
  MOCK_EMBED_LATENCY: variable({
    group: 'Mock services',
    doc: 'Time the mock embedder pretends to need for a batch.',
    default: '0ms',
    parse: read.duration(0, 3_600_000),
  }),
  MOCK_EMBED_FAILURE_RATE: variable({
    group: 'Mock services',
    doc: 'Share of embedding requests the mock embedder refuses, 0 to 1.',
    default: '0',
    parse: read.share,
  }),
  WORKER_CONCURRENCY: variable({
    group: 'Worker',
    doc: 'Jobs one process works on at a time. Default: twice the number of processors, at most 8.',
    default: undefined,
    parse: read.integer(1, 64),
  }),
  LEASE_DURATION: variable({
    group: 'Worker',
    doc: 'How long a job belongs to its worker without a sign of life; at least three heartbeats.',
    default: '30s',
    parse: read.duration(500, 3_600_000),
  }),
  HEARTBEAT_INTERVAL: variable({
    group: 'Worker',
    doc: 'How often a worker renews its leases.',
    default: '10s',
    parse: read.duration(100, 600_000),
  }),
  MAX_RECOVERIES: variable({
    group: 'Worker',
    doc: 'How often a job is taken over from a dead worker before it is held for the user.',
    default: '3',
    parse: read.integer(1, 100),
  }),
  POLL_INTERVAL: variable({
    group: 'Worker',
    doc: 'How often an idle worker looks for jobs.',
    default: '500ms',
    parse: read.duration(10, 60_000),
  }),
  DRAIN_WAIT: variable({
    group: 'Worker',
    doc: 'How far ahead a parked job may be for `tvdb run` and `tvdb upload` to wait for it.',
    default: '60s',
    parse: read.duration(0, 86_400_000),
  }),
  LOG_LEVEL: variable({
    group: 'Output',
    doc: 'Least severe entry written to the log file: debug, info, warn, error.',
    default: 'info',
    parse: read.choice(['debug', 'info', 'warn', 'error'] as const),
    choices: ['debug', 'info', 'warn', 'error'],
  }),
  TVDB_ASCII: variable({
    group: 'Output',
    doc: 'true draws with plain ASCII characters only.',
    default: 'false',
    parse: read.boolean,
  }),
  TVDB_ACCESSIBLE: variable({
    group: 'Output',
    doc: 'true means plain progress with percentages, no drawing, tables as labelled records.',
    default: 'false',
    parse: read.boolean,
  }),
  TVDB_NO_INPUT: variable({
    group: 'Output',
    doc: 'true never asks; what would be asked becomes an error that names the flag.',
    default: 'false',
    parse: read.boolean,
  }),
} as const;

export type VariableName = keyof typeof VARIABLES;

/** The value of each setting; `undefined` where it is unset and has no default. */
export type Settings = {
  readonly [Name in VariableName]: (typeof VARIABLES)[Name] extends Variable<infer T>
    ? (typeof VARIABLES)[Name]['default'] extends undefined
      ? T | undefined
      : T
    : never;
};

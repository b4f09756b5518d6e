/**
 * Every setting of tvdb: its variable, its default, how its text is read, and one line of documentation.
 *
 * A variable that is not in this table cannot be read. `.env.tvdb001.example`, `tvdb config list` and
 * `tvdb help environment` are made from it, and a test holds the example file against it.
 */
import { INCOMPLETE_POLICIES, PARSE_TIERS } from '../domain/parse-options.ts';
import { RESULT_WAYS, SERVICE_MODES } from '../domain/service-mode.ts';
import * as read from './read.ts';

/** One setting. `parse` throws an `Error` whose message completes "NAME …" (for example: "must be a whole number"). */
export interface Variable<T> {
  /** Heading it stands under in the example file. */
  group:
    | 'Mode'
    | 'Keys'
    | 'Places'
    | 'Upload limits'
    | 'Pipeline'
    | 'Real services'
    | 'Money'
    | 'Results and webhooks'
    | 'HTTP API'
    | 'Mock services'
    | 'Worker'
    | 'Output';
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
  SERVICE_MODE_LLAMAPARSE: variable({
    group: 'Mode',
    doc: 'The same for LlamaParse alone: overrides SERVICE_MODE for parsing.',
    default: undefined,
    parse: read.choice(SERVICE_MODES),
    choices: SERVICE_MODES,
  }),
  SERVICE_MODE_OPENAI: variable({
    group: 'Mode',
    doc: 'The same for OpenAI alone: overrides SERVICE_MODE for embedding.',
    default: undefined,
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
  LLAMAPARSE_API_KEY_SECONDARY: variable({
    group: 'Keys',
    doc: 'Second key of LlamaParse for a change of keys: tried once when the first is refused.',
    default: undefined,
    parse: read.secret,
    secret: true,
  }),
  OPENAI_API_KEY_SECONDARY: variable({
    group: 'Keys',
    doc: 'Second key of OpenAI for a change of keys: tried once when the first is refused.',
    default: undefined,
    parse: read.secret,
    secret: true,
  }),
  TVDB_API_TOKEN: variable({
    group: 'HTTP API',
    doc: 'Token that callers of `tvdb serve` send as `Authorization: Bearer`. Default: a fresh one at each start.',
    default: undefined,
    parse: read.secret,
    secret: true,
  }),
  UPLOADS_PER_DAY: variable({
    group: 'HTTP API',
    doc: 'Most uploads through the HTTP API in 24 hours.',
    default: '30',
    parse: read.integer(1, 1_000_000),
  }),
  ACTIVE_JOBS_LIMIT: variable({
    group: 'HTTP API',
    doc: 'Most unfinished jobs that were made through the HTTP API.',
    default: '2',
    parse: read.integer(1, 100_000),
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
  LLAMA_CLOUD_BASE_URL: variable({
    group: 'Real services',
    doc: 'Address of LlamaCloud: us, eu, or a URL. A key belongs to one region.',
    default: 'us',
    parse: read.baseUrl({ us: 'https://api.cloud.llamaindex.ai', eu: 'https://api.cloud.eu.llamaindex.ai' }),
  }),
  OPENAI_BASE_URL: variable({
    group: 'Real services',
    doc: 'Address of OpenAI or of a service that speaks its contract.',
    default: 'https://api.openai.com/v1',
    parse: read.baseUrl({}),
  }),
  LLAMAPARSE_TIER: variable({
    group: 'Real services',
    doc: 'How thoroughly LlamaParse reads: fast (1 credit a page), cost_effective (3), agentic (10), agentic_plus (45).',
    default: 'cost_effective',
    parse: read.choice(PARSE_TIERS),
    choices: PARSE_TIERS,
  }),
  LLAMAPARSE_VERSION: variable({
    group: 'Real services',
    doc: 'Dated version of the tier. Default: the one this tvdb was made for, so that results do not drift.',
    default: undefined,
    parse: read.text,
  }),
  OPENAI_EMBED_MODEL: variable({
    group: 'Real services',
    doc: 'Embedding model: text-embedding-3-small (1536 dimensions) or text-embedding-3-large (3072).',
    default: 'text-embedding-3-small',
    parse: read.choice(['text-embedding-3-small', 'text-embedding-3-large'] as const),
    choices: ['text-embedding-3-small', 'text-embedding-3-large'],
  }),
  EMBED_BATCH_TOKENS: variable({
    group: 'Real services',
    doc: 'Most tokens in one embedding request; the service takes 300,000.',
    default: '250000',
    parse: read.integer(8_192, 300_000),
  }),
  EMBED_LINGER: variable({
    group: 'Real services',
    doc: 'How long a request that is not full waits for chunks of other documents on their way.',
    default: '5s',
    parse: read.duration(0, 600_000),
  }),
  LLAMAPARSE_PARALLEL: variable({
    group: 'Real services',
    doc: 'Most documents LlamaParse works on at a time for this store (the plan allows 5, 20 or 100).',
    default: '5',
    parse: read.integer(1, 1000),
  }),
  LLAMAPARSE_REQUESTS_PER_MINUTE: variable({
    group: 'Real services',
    doc: 'Most requests a minute to LlamaParse, polls included. The free plan allows 20.',
    default: '20',
    parse: read.integer(1, 100_000),
  }),
  OPENAI_REQUESTS_PER_MINUTE: variable({
    group: 'Real services',
    doc: 'Most requests a minute to OpenAI, until its headers say otherwise.',
    default: '3000',
    parse: read.integer(1, 1_000_000),
  }),
  OPENAI_TOKENS_PER_MINUTE: variable({
    group: 'Real services',
    doc: 'Most tokens a minute to OpenAI, until its headers say otherwise.',
    default: '1000000',
    parse: read.integer(1_000, 1_000_000_000),
  }),
  CONNECT_TIMEOUT: variable({
    group: 'Real services',
    doc: 'Longest time to reach a service.',
    default: '10s',
    parse: read.duration(100, 600_000),
  }),
  HEADERS_TIMEOUT: variable({
    group: 'Real services',
    doc: 'Longest time until a service begins to answer.',
    default: '60s',
    parse: read.duration(100, 3_600_000),
  }),
  BODY_TIMEOUT: variable({
    group: 'Real services',
    doc: 'Longest silence in the middle of an answer.',
    default: '30s',
    parse: read.duration(100, 3_600_000),
  }),
  REQUEST_TIMEOUT: variable({
    group: 'Real services',
    doc: 'Longest time of one request as a whole, upload of the document included.',
    default: '5m',
    parse: read.duration(100, 3_600_000),
  }),
  RESPONSE_LIMIT_MB: variable({
    group: 'Real services',
    doc: 'Largest answer taken from a service, in megabytes.',
    default: '64',
    parse: read.integer(1, 2_048),
  }),
  PARSE_DEADLINE: variable({
    group: 'Real services',
    doc: 'Longest time LlamaParse may work on a document before it is cancelled there.',
    default: '30m',
    parse: read.duration(1_000, 86_400_000),
  }),
  UNKNOWN_OUTCOME_WINDOW: variable({
    group: 'Real services',
    doc: 'How long a parse request that may have arrived is looked for before it counts as never arrived.',
    default: '15m',
    parse: read.duration(100, 86_400_000),
  }),
  EMBED_UNKNOWN_WAIT: variable({
    group: 'Real services',
    doc: 'Wait before an embedding request that may have arrived is sent once more.',
    default: '60s',
    parse: read.duration(1, 3_600_000),
  }),
  PARSE_INCOMPLETE: variable({
    group: 'Real services',
    doc: 'What a parse with failed, missing, empty or cut pages leads to: retry-failed-pages (once, then fail), fail, accept.',
    default: 'retry-failed-pages',
    parse: read.choice(INCOMPLETE_POLICIES),
    choices: INCOMPLETE_POLICIES,
  }),
  BREAKER_FAILURES: variable({
    group: 'Real services',
    doc: 'Failures in a row after which requests to a service are paused.',
    default: '5',
    parse: read.integer(1, 1000),
  }),
  BREAKER_PAUSE: variable({
    group: 'Real services',
    doc: 'How long they are paused before one is tried; grows while it keeps failing.',
    default: '30s',
    parse: read.duration(10, 3_600_000),
  }),
  DAILY_COST_LIMIT_USD: variable({
    group: 'Money',
    doc: 'Most that may be spent in a day (of TVDB_TIMEZONE), in USD. 0 stops every paid request.',
    default: '5',
    parse: read.usd,
  }),
  HOURLY_COST_LIMIT_USD: variable({
    group: 'Money',
    doc: 'Most that may be spent in an hour, in USD.',
    default: undefined,
    parse: read.usd,
  }),
  MONTHLY_COST_LIMIT_USD: variable({
    group: 'Money',
    doc: 'Most that may be spent in a calendar month, in USD.',
    default: undefined,
    parse: read.usd,
  }),
  RUN_COST_LIMIT_USD: variable({
    group: 'Money',
    doc: 'Most that one invocation may spend, in USD.',
    default: undefined,
    parse: read.usd,
  }),
  LLAMAPARSE_DAILY_COST_LIMIT_USD: variable({
    group: 'Money',
    doc: 'Most that may be spent at LlamaParse in a day, in USD.',
    default: undefined,
    parse: read.usd,
  }),
  OPENAI_DAILY_COST_LIMIT_USD: variable({
    group: 'Money',
    doc: 'Most that may be spent at OpenAI in a day, in USD.',
    default: undefined,
    parse: read.usd,
  }),
  HOURLY_REQUEST_LIMIT: variable({
    group: 'Money',
    doc: 'Most requests that may be billed in an hour.',
    default: undefined,
    parse: read.integer(0, 1_000_000),
  }),
  COST_AUTO_APPROVE_USD: variable({
    group: 'Money',
    doc: 'Estimates up to this sum, in USD, go without asking.',
    default: '0.05',
    parse: read.usd,
  }),
  HYBRID_ON_BUDGET: variable({
    group: 'Money',
    doc: 'What hybrid does when a budget is used up: defer (wait until it starts anew), mock (fall back, visibly).',
    default: 'defer',
    parse: read.choice(['defer', 'mock'] as const),
    choices: ['defer', 'mock'],
  }),
  PRICE_BOOK_FILE: variable({
    group: 'Money',
    doc: 'JSON file with prices of your own; what it does not name keeps the list price.',
    default: undefined,
    parse: read.text,
  }),
  RETENTION_DAYS: variable({
    group: 'Money',
    doc: 'How many days samples, deliveries and closed budget windows are kept. The ledger is kept for good.',
    default: '30',
    parse: read.integer(1, 3650),
  }),
  TVDB_RESULTS: variable({
    group: 'Results and webhooks',
    doc: 'How parse results are learnt of: poll, webhook (with polling behind it), auto (webhook when TVDB_PUBLIC_URL is set).',
    default: 'auto',
    parse: read.choice(RESULT_WAYS),
    choices: RESULT_WAYS,
  }),
  TVDB_PUBLIC_URL: variable({
    group: 'Results and webhooks',
    doc: 'Public https address of a tunnel to the webhook listener.',
    default: undefined,
    parse: read.baseUrl({}),
  }),
  TVDB_WEBHOOK_PORT: variable({
    group: 'Results and webhooks',
    doc: 'Port of the webhook listener on 127.0.0.1; 0 takes a free one. A tunnel needs a fixed one.',
    default: '0',
    parse: read.integer(0, 65_535),
  }),
  POLL_FIRST: variable({
    group: 'Results and webhooks',
    doc: 'Wait before the first look at a remote parse; later ones grow by half.',
    default: '2s',
    parse: read.duration(1, 600_000),
  }),
  POLL_CAP: variable({
    group: 'Results and webhooks',
    doc: 'Longest wait between two looks at a remote parse.',
    default: '30s',
    parse: read.duration(1, 3_600_000),
  }),
  BATCH_POLL_FIRST: variable({
    group: 'Results and webhooks',
    doc: 'Wait before the first look at a batch of embeddings (--economy); later ones grow by half.',
    default: '30s',
    parse: read.duration(1, 3_600_000),
  }),
  BATCH_POLL_CAP: variable({
    group: 'Results and webhooks',
    doc: 'Longest wait between two looks at a batch of embeddings.',
    default: '10m',
    parse: read.duration(1, 86_400_000),
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

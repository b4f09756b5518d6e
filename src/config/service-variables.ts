/** Settings of the paid services: how they are asked, how often, how long, and when they are left alone. */
import { INCOMPLETE_POLICIES, PARSE_TIERS } from '../domain/parse-options.ts';
import * as read from './read.ts';
import { variable } from './variable.ts';

export const SERVICE_VARIABLES = {
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
} as const;

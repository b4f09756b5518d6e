/** The checks of `tvdb doctor`, in the order they are shown. A row here needs its function in `checks.ts`, and the compiler says so. */

export const CHECK_GROUPS = ['Runtime', 'Configuration', 'Paths', 'Store', 'Workers', 'Providers'] as const;
export type CheckGroup = (typeof CHECK_GROUPS)[number];

interface CheckRow {
  readonly group: CheckGroup;
  /** What it looks at, for `--list-checks`. */
  readonly summary: string;
  /** Longest time it may take, in milliseconds; `--timeout` overrides it. */
  readonly limitMs?: number;
  /** Only when it is named: too slow for every time. */
  readonly onRequest?: boolean;
  /** Asks a service, so `--offline` leaves it out. */
  readonly network?: boolean;
}

/** Reading every row or file of a large store takes its time. */
const LONG_MS = 120_000;
/** Enough for everything that does not read the whole store, on a busy machine. */
export const LIMIT_MS = 10_000;

const CHECKS = {
  node: { group: 'Runtime', summary: 'this version of Node.js is supported' },
  tvdb: { group: 'Runtime', summary: 'version and place of tvdb' },
  sqlite: { group: 'Runtime', summary: 'the SQLite module loads and its version is safe' },
  'vector-search': { group: 'Runtime', summary: 'the vector functions load and work' },
  'pdf-reader': { group: 'Runtime', summary: 'the PDF process starts and reads a page', limitMs: 30_000 },
  config: { group: 'Configuration', summary: 'the user configuration and the names of the variables' },
  'env-files': { group: 'Configuration', summary: 'files with keys are for their owner only' },
  'env-shadow': { group: 'Configuration', summary: 'no saved setting is hidden' },
  keys: { group: 'Configuration', summary: 'the keys that the mode needs are set' },
  webhook: { group: 'Configuration', summary: 'the public address for webhooks and its port can be used' },
  home: { group: 'Paths', summary: 'the home directory is there, writable and private' },
  'file-modes': { group: 'Paths', summary: 'what is in it is for its owner only' },
  'file-system': { group: 'Paths', summary: 'it is on a local file system' },
  'disk-space': { group: 'Paths', summary: 'there is room on its disk' },
  'temp-files': { group: 'Paths', summary: 'no temp files of killed processes' },
  store: { group: 'Store', summary: 'the store opens and its schema is current' },
  pragmas: { group: 'Store', summary: 'the connection is set up so that commits last' },
  'quick-check': { group: 'Store', summary: 'the structure of every table is sound', limitMs: LONG_MS },
  integrity: { group: 'Store', summary: 'every table agrees with its indexes', limitMs: LONG_MS, onRequest: true },
  'foreign-keys': { group: 'Store', summary: 'no row points to one that is gone', limitMs: LONG_MS },
  ledger: { group: 'Store', summary: 'the ledger is whole and every total adds up', limitMs: LONG_MS },
  leases: { group: 'Store', summary: 'every lease belongs to a worker and ends' },
  'raw-files': { group: 'Store', summary: 'the bytes of every document are there', limitMs: LONG_MS },
  'parsed-files': { group: 'Store', summary: 'the markdown of every document is as it was written', limitMs: LONG_MS },
  content: {
    group: 'Store',
    summary: 'every chunk has its vector, and vectors are as they were written',
    limitMs: LONG_MS,
  },
  buffers: { group: 'Store', summary: 'no buffers of jobs that have ended' },
  'orphan-files': { group: 'Store', summary: 'no stored files without a document' },
  workers: { group: 'Workers', summary: 'which workers live' },
  llamaparse: { group: 'Providers', summary: 'LlamaParse answers, accepts the key and offers the tier', network: true },
  openai: { group: 'Providers', summary: 'OpenAI answers, accepts the key and offers the model', network: true },
} as const satisfies Record<string, CheckRow>;

export type CheckId = keyof typeof CHECKS;

export const CHECK_IDS = Object.keys(CHECKS) as CheckId[];

/** The row of a check, with the optional columns. */
export function checkRow(id: CheckId): CheckRow {
  return CHECKS[id];
}

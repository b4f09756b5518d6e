/**
 * Every error code of tvdb, in one table: what it means, how the process exits, what to do about it.
 *
 * A code never changes its meaning and is never reused. `tvdb help errors <code>` prints a row of this table, and
 * docs/COMMANDS.md lists it. Ranges: E0 usage, E1 environment and credentials, E2 budget and consent, E3 upstream,
 * E4 documents, E5 store and search, E6 local servers, E9 internal.
 */

/** Whose fault, in the sense of "who can mend it". */
export type ErrorCategory = 'usage' | 'environment' | 'budget' | 'upstream' | 'data' | 'internal';

/** Process exit codes; one meaning each, everywhere. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  credentials: 4,
  budget: 5,
  upstream: 6,
  partial: 7,
  pending: 8,
  gate: 9,
  internal: 70,
  interrupted: 130,
  terminated: 143,
} as const;

interface CodeRow {
  category: ErrorCategory;
  exit: number;
  /** One line that stands alone. */
  title: string;
  /** What to do, in general; an error carries a more exact hint where it knows one. */
  fix: string;
}

export const ERROR_CODES = {
  E001: {
    category: 'usage',
    exit: 2,
    title: 'The command line is not understood',
    fix: 'See `tvdb --help` or `tvdb help <command>`.',
  },
  E002: {
    category: 'usage',
    exit: 2,
    title: 'A required argument is missing',
    fix: 'See the usage line of `tvdb help <command>`.',
  },
  E003: {
    category: 'usage',
    exit: 2,
    title: 'A value is not valid',
    fix: 'Give a value of the form the message names.',
  },
  E004: {
    category: 'usage',
    exit: 2,
    title: 'No file matches',
    fix: 'Check the path or pattern; quote patterns so that the shell leaves them alone.',
  },
  E005: {
    category: 'usage',
    exit: 2,
    title: 'A choice is not one of the allowed values',
    fix: 'Use one of the values the message lists.',
  },
  E006: {
    category: 'usage',
    exit: 2,
    title: 'No such id',
    fix: 'List what there is with `tvdb status`; any unique prefix of 4 or more characters is enough.',
  },
  E007: {
    category: 'usage',
    exit: 2,
    title: 'An id prefix fits several things',
    fix: 'Give more characters of the id.',
  },
  E008: {
    category: 'usage',
    exit: 2,
    title: 'Standard input cannot be used that way',
    fix: 'Pipe the bytes in and name them: `cat file.pdf | tvdb upload - --filename file.pdf`.',
  },
  E009: { category: 'usage', exit: 2, title: 'Flags that exclude each other', fix: 'Give only one of them.' },
  E010: {
    category: 'usage',
    exit: 2,
    title: 'Not possible in this state',
    fix: 'See the job with `tvdb status <id>`.',
  },
  E011: { category: 'usage', exit: 2, title: 'This needs a yes and nobody can be asked', fix: 'Add --yes.' },
  E012: {
    category: 'usage',
    exit: 130,
    title: 'Stopped by Ctrl-C or a signal',
    fix: 'Finished steps are kept; `tvdb run` continues.',
  },
  E101: {
    category: 'environment',
    exit: 4,
    title: 'A key is missing',
    fix: 'Set the variable the message names, or stay free with --mode mock.',
  },
  E102: {
    category: 'environment',
    exit: 4,
    title: 'There is no service of that kind in this version',
    fix: 'Use --mode mock.',
  },
  E103: {
    category: 'environment',
    exit: 4,
    title: 'A setting is not valid',
    fix: 'Correct the setting the message names; `tvdb config list` shows where each comes from.',
  },
  E104: {
    category: 'environment',
    exit: 4,
    title: 'The home directory of tvdb cannot be used',
    fix: 'Check its owner and permissions, or set TVDB_HOME.',
  },
  E105: {
    category: 'environment',
    exit: 4,
    title: 'The runtime is too old or too new',
    fix: 'Use a supported version of Node.js.',
  },
  E106: {
    category: 'environment',
    exit: 4,
    title: 'The store is on a network file system',
    fix: 'Set TVDB_HOME to a directory on a local disk.',
  },
  E107: { category: 'environment', exit: 4, title: 'The store was made by a newer tvdb', fix: 'Update tvdb.' },
  E108: {
    category: 'environment',
    exit: 4,
    title: 'The configuration file cannot be read',
    fix: 'Mend or delete the file the message names.',
  },
  E109: {
    category: 'environment',
    exit: 1,
    title: 'The output cannot be written',
    fix: 'Check the disk or the program that reads the output.',
  },
  E110: {
    category: 'environment',
    exit: 1,
    title: 'A check of `tvdb doctor` failed',
    fix: 'Follow the fix printed under the check.',
  },
  E111: {
    category: 'environment',
    exit: 4,
    title: 'The working directory cannot be used',
    fix: 'Change to a directory that exists, or name one with --cwd.',
  },
  E112: {
    category: 'environment',
    exit: 4,
    title: 'A service refused the key',
    fix: 'Check the key, and that it belongs to the region of the base URL (`tvdb doctor` asks without spending).',
  },
  E113: {
    category: 'environment',
    exit: 1,
    title: 'The smoke check found a step that does not do what it must',
    fix: 'Run `tvdb doctor`, or see the job with `tvdb trace <id>`.',
  },
  E114: {
    category: 'environment',
    exit: 8,
    title: 'Time was up before the work was done',
    fix: 'Give it longer with --timeout.',
  },
  E201: {
    category: 'budget',
    exit: 5,
    title: 'A budget does not allow it (CostLimitExceeded)',
    fix: 'Wait until the budget starts anew, or raise it with `tvdb costs budget set`.',
  },
  E202: {
    category: 'budget',
    exit: 5,
    title: 'Spending needs a consent that was not given',
    fix: 'Add --max-cost with the sum you agree to, or --yes.',
  },
  E203: {
    category: 'budget',
    exit: 5,
    title: 'There is no price for what was asked',
    fix: 'Choose another model or tier, or give its price in PRICE_BOOK_FILE.',
  },
  E204: {
    category: 'budget',
    exit: 5,
    title: 'A budget is stopped because a service charged more than was foreseen',
    fix: 'See what was charged with `tvdb costs acknowledge`; the budget goes on when you acknowledge it by its id.',
  },
  E205: {
    category: 'internal',
    exit: 70,
    title: 'The ledger does not add up',
    fix: 'Nothing more is spent. Run `tvdb costs verify`.',
  },
  E301: { category: 'upstream', exit: 6, title: 'A service is limiting requests', fix: 'Wait and run `tvdb run`.' },
  E302: {
    category: 'budget',
    exit: 5,
    title: 'The account at a service has no credit or quota left',
    fix: 'Raise the limit or the plan at the service, then `tvdb retry <id>`. Waiting does not help.',
  },
  E303: { category: 'upstream', exit: 6, title: 'A service does not answer', fix: 'Wait and run `tvdb run`.' },
  E304: {
    category: 'upstream',
    exit: 6,
    title: 'Requests to a service are paused after repeated failures',
    fix: '`tvdb health` says when the next one goes out; `tvdb run` continues then.',
  },
  E305: {
    category: 'upstream',
    exit: 9,
    title: 'A mock stands in for a real service, and that was not wanted',
    fix: 'See `tvdb trace <id>` for the reason.',
  },
  E306: {
    category: 'upstream',
    exit: 1,
    title: 'A simulated failure of a mock service',
    fix: 'Set MOCK_PARSE_FAILURE_RATE and MOCK_EMBED_FAILURE_RATE to 0, then `tvdb retry <id>`.',
  },
  E307: {
    category: 'upstream',
    exit: 6,
    title: 'Whether a paid request arrived is not known',
    fix: 'Run `tvdb run`: it looks for the request at the service before anything is sent again.',
  },
  E308: {
    category: 'upstream',
    exit: 6,
    title: 'A service answered something that is not understood',
    fix: 'Try again later; check the base URL if it is not the default.',
  },
  E309: {
    category: 'upstream',
    exit: 1,
    title: 'A service refused the request',
    fix: 'See `tvdb trace <id>` for the words of the service.',
  },
  E310: {
    category: 'upstream',
    exit: 1,
    title: 'The parse service gave up on the document',
    fix: 'See `tvdb trace <id>` for the reason; `tvdb retry <id>` parses it again, which costs again.',
  },
  E311: {
    category: 'upstream',
    exit: 1,
    title: 'The parse service no longer has the result',
    fix: 'It may have expired. `tvdb retry <id>` parses the document again, which costs again.',
  },
  E401: {
    category: 'data',
    exit: 1,
    title: 'Some documents could not be accepted or processed',
    fix: 'Each has its own code; see the lines above.',
  },
  E402: { category: 'data', exit: 1, title: 'The file type is not supported', fix: 'Convert the document to PDF.' },
  E403: { category: 'data', exit: 1, title: 'The file is empty', fix: 'Check how the file was made.' },
  E404: {
    category: 'data',
    exit: 1,
    title: 'The PDF is encrypted and needs a password',
    fix: 'Decrypt it first: qpdf --decrypt in.pdf out.pdf',
  },
  E405: { category: 'data', exit: 1, title: 'The PDF is damaged', fix: 'Repair it first: qpdf in.pdf out.pdf' },
  E406: { category: 'data', exit: 1, title: 'The file is too large', fix: 'Split the document, or raise MAX_FILE_MB.' },
  E407: {
    category: 'data',
    exit: 1,
    title: 'The document has too many pages',
    fix: 'Split the document, or raise MAX_PAGES.',
  },
  E408: {
    category: 'data',
    exit: 1,
    title: 'The document has no text',
    fix: 'It looks like a scan: run OCR on it first (ocrmypdf in.pdf out.pdf).',
  },
  E409: { category: 'data', exit: 1, title: 'The file cannot be read', fix: 'Check its permissions.' },
  E410: {
    category: 'data',
    exit: 1,
    title: 'The file disappeared while it was read',
    fix: 'Upload it again when it stays in place.',
  },
  E411: {
    category: 'data',
    exit: 1,
    title: 'The file changed while it was read',
    fix: 'Upload it again when nothing writes to it.',
  },
  E412: {
    category: 'data',
    exit: 1,
    title: 'A directory was given without --recursive',
    fix: 'Add --recursive, or name the files.',
  },
  E413: {
    category: 'data',
    exit: 1,
    title: 'Not a regular file',
    fix: 'Only regular files can be uploaded; pipe other sources in with `-`.',
  },
  E414: {
    category: 'data',
    exit: 1,
    title: 'Reading the document takes too long or too much memory',
    fix: 'The file may be hostile. Split it, or raise PARSE_TIMEOUT or PARSE_MEMORY_MB if you trust it.',
  },
  E415: { category: 'data', exit: 1, title: 'The document has no pages', fix: 'Repair it first: qpdf in.pdf out.pdf' },
  E416: {
    category: 'data',
    exit: 1,
    title: 'The document could not be cut into chunks',
    fix: 'See `tvdb trace <id>`.',
  },
  E417: {
    category: 'data',
    exit: 1,
    title: 'The stored bytes of the document are missing or damaged',
    fix: 'Upload the file again.',
  },
  E418: { category: 'data', exit: 1, title: 'The document has an unusable embedding', fix: 'Run `tvdb retry <id>`.' },
  E419: {
    category: 'data',
    exit: 1,
    title: 'The parse of the document is incomplete',
    fix: 'Run `tvdb retry <id>`; `tvdb trace <id>` lists the pages.',
  },
  E501: {
    category: 'environment',
    exit: 6,
    title: 'The store is busy',
    fix: 'Another process holds it for long; try again.',
  },
  E502: {
    category: 'environment',
    exit: 6,
    title: 'The store is damaged',
    fix: 'Run `tvdb doctor`, and restore a backup.',
  },
  E503: {
    category: 'environment',
    exit: 6,
    title: 'The disk cannot take more',
    fix: 'Free space (or open files), then `tvdb run` continues.',
  },
  E504: {
    category: 'usage',
    exit: 2,
    title: 'Unknown embedding space',
    fix: 'Use one of the spaces the message lists.',
  },
  E505: { category: 'usage', exit: 2, title: 'The query is empty', fix: 'Give some words to search for.' },
  E506: {
    category: 'environment',
    exit: 6,
    title: 'The store cannot be opened',
    fix: 'Check the path and permissions; `tvdb doctor` looks closer.',
  },
  E601: {
    category: 'environment',
    exit: 1,
    title: 'A port cannot be listened on',
    fix: 'Give another --port, or leave it out for a free one.',
  },
  E602: {
    category: 'environment',
    exit: 4,
    title: 'Webhooks were asked for and cannot arrive',
    fix: 'Set TVDB_PUBLIC_URL to the address of your tunnel, or use --results poll.',
  },
  E603: {
    category: 'usage',
    exit: 2,
    title: 'The HTTP API does not take the request',
    fix: 'See docs/HTTP_API.md for what it takes.',
  },
  E604: {
    category: 'usage',
    exit: 2,
    title: 'A limit of the HTTP API is reached',
    fix: 'Wait as long as Retry-After says, or raise UPLOADS_PER_DAY or ACTIVE_JOBS_LIMIT.',
  },
  E900: {
    category: 'internal',
    exit: 70,
    title: 'tvdb hit a bug',
    fix: 'Report it with the report file the message names.',
  },
  E901: {
    category: 'internal',
    exit: 70,
    title: 'A connection outside this machine was refused in mock mode',
    fix: 'Report it: mock mode must never dial out.',
  },
} as const satisfies Record<string, CodeRow>;

/** A code without its `TVDB-` prefix. */
export type ErrorCode = keyof typeof ERROR_CODES;

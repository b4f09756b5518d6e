/** Looks for the parses of an attempt whose answer was lost. An empty result is a proof, so that doubt is an error. */
import { TvdbError } from '../../base/errors.ts';
import type { Exchange } from './llamaparse-exchange.ts';
import { PATHS, readJobList, type WireJob } from './llamaparse-wire.ts';

const PAGE_SIZE = 100;
/** 10,000 jobs in one window of some minutes is more than this store makes; a list that never ends would hang us. */
const MOST_PAGES = 100;
/** Last moment of the year 9999: later ones have no four-digit year, which a service may not read. */
const LAST_MS = 253_402_300_799_999;

/**
 * Ids of the jobs that carry `attemptId`, oldest first. Reads every page of the list of jobs made in `window` (wall
 * clock, milliseconds). Throws when a page cannot be had or read, when the list does not end, and when nothing matched
 * although there were jobs that do not say whose they are: absence would not be proven then.
 */
export async function findJobs(
  exchange: Exchange,
  attemptId: string,
  window: { from: number; to: number },
  signal: AbortSignal,
): Promise<string[]> {
  const found: WireJob[] = [];
  const seen = new Set<string>();
  let unsaid = 0;
  let token: string | null = null;
  do {
    const page: { jobs: WireJob[]; next: string | null } = await exchange.get(
      {
        operation: 'parse.list',
        billable: false,
        method: 'GET',
        path: PATHS.parse,
        query: [
          ['created_at_on_or_after', moment(window.from)],
          ['created_at_on_or_before', moment(window.to)],
          ['page_size', String(PAGE_SIZE)],
          ...(token === null ? [] : ([['page_token', token]] satisfies [string, string][])),
        ],
        read: readJobList,
      },
      signal,
    );
    for (const job of page.jobs) {
      if (job.correlation === 'unsaid') unsaid += 1;
      else if (job.correlation !== 'other' && job.correlation.attempt === attemptId) found.push(job);
    }
    token = page.next;
    if (token !== null && (seen.has(token) || seen.size >= MOST_PAGES)) throw unproven('the list does not end');
    if (token !== null) seen.add(token);
  } while (token !== null);
  if (found.length === 0 && unsaid > 0) throw unproven(`${unsaid} parses there do not say whose they are`);
  const ids = found.sort((a, b) => time(a) - time(b)).map(({ id }) => id);
  // A list that grows while it is read may show a job on two pages.
  return [...new Set(ids)];
}

/** An id without a readable time sorts last: it cannot be shown to be the oldest. */
function time({ createdAt }: WireJob): number {
  const at = Date.parse(createdAt);
  return Number.isNaN(at) ? Number.MAX_SAFE_INTEGER : at;
}

function moment(ms: number): string {
  return new Date(Math.min(Math.max(0, ms), LAST_MS)).toISOString();
}

function unproven(why: string): TvdbError {
  return new TvdbError('E308', {
    message: 'Whether LlamaParse has the parse could not be found out',
    why,
    retry: { kind: 'later' },
    facts: { service: 'llamaparse', operation: 'parse.list' },
  });
}

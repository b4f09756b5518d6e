/** `parsed`: normalises the pages into one markdown text, and lets only a complete parse pass. */
import { TvdbError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { assemble } from '../domain/markdown.ts';
import { faultsOf, type PageFaults } from '../domain/page-faults.ts';
import { attemptsOfJob } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import type { Db } from '../store/open.ts';
import { type ParseIdentity, rememberParse } from '../store/parse-cache.ts';
import { type PageStart, pageStartsOf, pagesOf, parseById, setIncomplete, setMarkdown } from '../store/parses.ts';
import type { DocumentRow, JobRow, ParseRow } from '../store/schema.ts';
import { isTwin } from '../store/twins.ts';
import type { Stage, StageEvent } from './stage.ts';

export const validateParse: Stage = async (job, { store, settings, clock }) => {
  const parse = job.parse_id === null ? undefined : await parseById(store.db, job.parse_id);
  if (parse === undefined) return back({ why: 'the stored parse is gone' });
  const document = await documentById(store.db, job.document_id);
  const pages = pagesOf(parse);
  const faults = faultsOf(pages, document?.pages ?? 0);
  const policy = settings.PARSE_INCOMPLETE;
  const again = policy === 'retry-failed-pages' ? await pagesToRetry(job, store.db) : null;
  if (again !== null) {
    return back(
      { why: `${again.length} pages are asked for once more`, pages: again.slice(0, 50) },
      'PARSE_INCOMPLETE',
    );
  }
  const bad = [...faults.failed, ...faults.missing, ...faults.cut].sort((a, b) => a - b);
  if (bad.length > 0 && policy !== 'accept') throw incomplete(faults, document?.pages ?? 0);
  const readable = pages.flatMap((page) => ('markdown' in page ? [page] : []));
  const { markdown, pageStarts } = assemble(readable.sort((a, b) => a.number - b.number));
  if (markdown.trim() === '') throw new TvdbError('E408', { message: 'The document has no text on any page' });
  const hash = sha256(markdown);
  // Blank pages are common; two readings that agree on "no text" are taken at their word, and said.
  const lacking = parse.origin === 'real' ? [...bad, ...faults.empty].sort((a, b) => a - b) : bad;
  const label: StageEvent = {
    code: 'PARSE_INCOMPLETE',
    severity: bad.length > 0 ? 'warn' : 'info',
    data: { accepted: true, ...shown(faults) },
  };
  return {
    kind: 'move',
    to: 'parse_validated',
    before: lacking.length > 0 ? [label] : [],
    event: { code: 'PARSE_VALIDATED', data: { pages: readable.length, characters: markdown.length, sha256: hash } },
    set: { parsed_sha256: hash },
    write: async (trx) => {
      await setMarkdown(trx, parse.parse_id, { markdown, pageStarts, sha256: hash });
      await setIncomplete(trx, parse.parse_id, lacking);
      // Only what is whole is worth keeping for others; a page that failed may succeed for them.
      if (parse.origin === 'real' && bad.length === 0 && document !== undefined) {
        const { parser_name: parserName, parser_version: parserVersion, origin } = parse;
        await rememberParse(trx, parseIdentity(document, { parserName, parserVersion, origin }), {
          pages,
          credits: await creditsOf(trx, job.job_id),
          now: clock.now(),
        });
      }
    },
  };
};

/** Under what a whole parse of a document is remembered. */
export function parseIdentity(
  { file_sha256: fileSha256, pages }: Pick<DocumentRow, 'file_sha256' | 'pages'>,
  { parserName, parserVersion, origin }: Pick<ParseIdentity, 'parserName' | 'parserVersion' | 'origin'>,
): ParseIdentity {
  return { fileSha256, parserName, parserVersion, origin, pages };
}

/** What the parse of a job was billed; `null` when any part of it is not known. */
async function creditsOf(db: Db, jobId: string): Promise<number | null> {
  const paid = (await attemptsOfJob(db, jobId)).filter(
    (one) => one.service === 'parse' && one.origin === 'real' && one.outcome === 'ok' && !isTwin(one),
  );
  if (paid.length === 0) return null;
  return paid.reduce<number | null>(
    (sum, { billed_units: billed }) => (sum === null || billed === null ? null : sum + billed),
    0,
  );
}

/**
 * The pages of the stored parse of a job that are to be asked for once more: those a paid parse of this job did not
 * bring, as long as no second request for pages was answered. `null` when there are none. A parse out of the cache was
 * looked through when it was made: its blank pages are not read again.
 */
export async function pagesToRetry(job: JobRow, db: Db): Promise<readonly number[] | null> {
  if (job.parse_id === null) return null;
  const attempts = (await attemptsOfJob(db, job.job_id)).filter(
    ({ service, origin }) => service === 'parse' && origin === 'real',
  );
  const done = (operation: string) => attempts.some((one) => one.operation === operation && one.outcome === 'ok');
  if (!done('parse') || done('parse_pages')) return null;
  const parse = await parseById(db, job.parse_id);
  const document = await documentById(db, job.document_id);
  if (parse === undefined || document === undefined) return null;
  const faults = faultsOf(pagesOf(parse), document.pages);
  // A cut page would be cut again, and without it the document is incomplete whatever the others bring.
  if (parse.origin === 'mock' || faults.cut.length > 0) return null;
  const pages = [...faults.failed, ...faults.missing, ...faults.empty].sort((a, b) => a - b);
  return pages.length > 0 ? pages : null;
}

function back(data: Record<string, unknown>, code: StageEvent['code'] = 'RETRY_SCHEDULED') {
  return { kind: 'move' as const, to: 'uploaded' as const, event: { code, severity: 'warn' as const, data } };
}

/**
 * The validated text of a parse: as stored, or made again of the same pages when another job of the document has stored
 * its parse anew meanwhile.
 */
export function validatedText(parse: ParseRow): { markdown: string; pageStarts: PageStart[]; sha256: string } {
  if (parse.markdown !== null && parse.markdown_sha256 !== null) {
    return { markdown: parse.markdown, pageStarts: pageStartsOf(parse), sha256: parse.markdown_sha256 };
  }
  const { markdown, pageStarts } = assemble(pagesOf(parse).flatMap((page) => ('markdown' in page ? [page] : [])));
  return { markdown, pageStarts, sha256: sha256(markdown) };
}

function shown({ failed, missing, empty, cut }: PageFaults): Record<string, number[]> {
  const lists = { failed_pages: failed, missing_pages: missing, empty_pages: empty, cut_pages: cut };
  return Object.fromEntries(
    Object.entries(lists).flatMap(([name, pages]) => (pages.length > 0 ? [[name, pages.slice(0, 50)]] : [])),
  );
}

/** E419, naming the pages. */
function incomplete(faults: PageFaults, expected: number): TvdbError {
  const part = (pages: readonly number[], what: string) =>
    pages.length === 0 ? [] : [`${what}: ${pages.slice(0, 10).join(', ')}${pages.length > 10 ? ', …' : ''}`];
  const { failed, missing, cut } = faults;
  return new TvdbError('E419', {
    message: `The parse is incomplete: ${failed.length + missing.length + cut.length} of ${expected} pages are missing, failed or cut`,
    why: [...part(failed, 'failed'), ...part(missing, 'missing'), ...part(cut, 'cut at 64 KB')].join('; '),
    fix: 'Run `tvdb retry <id>`, which parses again, or accept what there is with PARSE_INCOMPLETE=accept.',
    facts: { ...shown(faults) },
  });
}

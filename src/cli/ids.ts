/** Resolves ids given on the command line: in full or as a prefix, of a job, document, run, correlation or remote request. */
import { TvdbError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import { type IdKind, type IdMatch, matchIds } from '../store/jobs/find.ts';
import { documentIdsOf, jobIdsOf, newestIds } from '../store/jobs/of-id.ts';
import type { Db } from '../store/open.ts';
import { commandLine } from './command-line.ts';
import { closest } from './suggest.ts';

/** Candidates named in an error. */
const SHOWN = 5;
/** Newest ids of each kind that a typing slip is compared with. */
const COMPARED = 200;

/** What can follow one job: everything but its document and run. */
export const JOB_KINDS = ['job', 'document', 'run', 'correlation', 'remote'] as const satisfies readonly IdKind[];

const NOUNS: Record<IdKind, string> = {
  job: 'job',
  document: 'document',
  run: 'run',
  correlation: 'correlation id',
  remote: 'upstream id',
};

/** The command that asked, for the commands an error suggests: `['trace', '--full']`. */
export interface Asking {
  readonly command: readonly string[];
}

/**
 * The one thing `typed` stands for. Throws E006 when nothing begins with it, with the id that was probably meant, and
 * E007 when it fits several, listing up to five of them.
 */
export async function resolveId(
  db: Db,
  typed: string,
  kinds: readonly IdKind[],
  { command }: Asking,
): Promise<IdMatch> {
  const matches = await matchIds(db, typed, kinds, SHOWN + 1);
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return only;
  throw only === undefined ? await unknownId(db, typed, kinds, command) : ambiguousId(typed, matches, command);
}

/** Ids of the jobs that `typed` ids stand for, newest first, each once. Throws E006 or E007. */
export async function resolveJobs(db: Db, typed: readonly string[], asking: Asking): Promise<string[]> {
  const found = new Set<string>();
  for (const text of typed) {
    const match = await resolveId(db, text, JOB_KINDS, asking);
    for (const jobId of await jobIdsOf(db, match)) found.add(jobId);
  }
  return [...found];
}

/** Ids of the documents that `typed` ids stand for, each once: of a document itself, or the document of a job. Throws E006 or E007. */
export async function resolveDocuments(db: Db, typed: readonly string[], asking: Asking): Promise<string[]> {
  const found = new Set<string>();
  for (const text of typed) {
    const match = await resolveId(db, text, JOB_KINDS, asking);
    if (match.kind === 'document') found.add(match.id);
    else for (const documentId of await documentIdsOf(db, await jobIdsOf(db, match))) found.add(documentId);
  }
  return [...found];
}

async function unknownId(
  db: Db,
  typed: string,
  kinds: readonly IdKind[],
  command: readonly string[],
): Promise<TvdbError> {
  const length = typed.length;
  const known = await newestIds(db, kinds, COMPARED);
  const guess = closest(
    typed,
    [...new Set(known.map(({ id }) => id.slice(0, length)))].filter((id) => id !== typed),
  );
  const meant = guess === undefined ? undefined : known.find(({ id }) => id.startsWith(guess));
  const suggestion = meant === undefined ? undefined : length > 8 ? meant.id : shortId(meant.id);
  return new TvdbError('E006', {
    message: `No ${listed(kinds.map((kind) => NOUNS[kind]))} begins with "${typed}".${suggestion === undefined ? '' : ` Did you mean "${suggestion}"?`}`,
    ...(meant !== undefined && { why: `${suggestion} is a ${NOUNS[meant.kind]}` }),
    ...(suggestion !== undefined && { fix: '', commands: [commandLine([...command, suggestion])] }),
    facts: { value: typed, command: command[0] ?? '', ...(meant !== undefined && { suggestion: meant.id }) },
  });
}

function ambiguousId(typed: string, matches: readonly IdMatch[], command: readonly string[]): TvdbError {
  const shown = matches.slice(0, SHOWN);
  const length = tellingLength(shown, typed.length);
  const more = matches.length > SHOWN ? ', and more' : '';
  return new TvdbError('E007', {
    message: `"${typed}" fits ${matches.length > SHOWN ? `more than ${SHOWN}` : matches.length} ids`,
    why: `${shown.map(({ kind, id }) => `${NOUNS[kind]} ${id.slice(0, length)}`).join(', ')}${more}`,
    commands: shown.slice(0, 1).map(({ id }) => commandLine([...command, id.slice(0, length)])),
    facts: { value: typed, command: command[0] ?? '', candidates: shown },
  });
}

/** Characters of the ids that tell them apart: 8, or as many more as it takes. */
function tellingLength(matches: readonly IdMatch[], least: number): number {
  for (let length = Math.max(8, least + 1); length < 64; length += 1) {
    if (new Set(matches.map(({ id }) => id.slice(0, length))).size === matches.length) return length;
  }
  return 64;
}

function listed(nouns: readonly string[]): string {
  const last = nouns.at(-1) ?? '';
  return nouns.length < 2 ? last : `${nouns.slice(0, -1).join(', ')} or ${last}`;
}

/**
 * Which chunks have the words of a query, as an FTS5 expression over `chunk_words`; FTS5 ranks them by BM25.
 *
 * Scoring takes 1 microsecond for each word of each chunk that has it, so the most frequent words must not decide which
 * chunks are scored. On 100,000 chunks of 190 words of manuals, eight words cut out of a chunk, median and 90th percentile
 * in ms, and how often their chunk is among the first three:
 *
 *   all words in at most half of the chunks     55 / 102   71 %
 *   words in at most a fifth of the chunks      25 / 48    61 %
 *   this file                                   11 / 17    65 %
 *
 * and 8 ms for counting, in each case. FTS5 itself gives no weight to a word that is in more than half of the chunks.
 */
import { sql } from 'kysely';
import { termReader } from '../domain/words.ts';
import type { Db } from '../store/open.ts';

/** The rarest words bring in chunks up to this many in all; the other words of the query only count in those chunks. */
const ROWS_SCORED = 10_000;
/** Of longer texts the rarest words count. */
const MOST_TERMS = 64;

interface Counted {
  term: string;
  chunks: number;
}

/** The expression that finds chunks by the words of `text`; `null` when no word tells one chunk from another. */
export async function wordExpression(db: Db, text: string): Promise<string | null> {
  const terms = [...new Set(termReader()(text))];
  // The order of the tables is given: the other way round every term of the collection is counted.
  const { rows } = await sql<Counted>`
    SELECT t.value AS term, v.doc AS chunks
    FROM json_each(${JSON.stringify(terms)}) AS t CROSS JOIN chunk_vocabulary AS v ON v.term = t.value
    WHERE v.doc * 2 <= (SELECT COUNT(*) FROM document_chunks)
    ORDER BY v.doc, t.key LIMIT ${MOST_TERMS}`.execute(db);
  if (rows.length === 0) return null;
  const finding = rows.slice(0, countFinding(rows));
  const counting = rows.slice(finding.length);
  if (counting.length === 0) return anyOf(finding);
  // The second half repeats the first, so that the frequent words count without bringing in chunks of their own.
  return `(${anyOf(finding)}) OR ((${anyOf(finding)}) AND (${anyOf(counting)}))`;
}

/** How many of the words, rarest first, bring in chunks: at least one. */
function countFinding(words: readonly Counted[]): number {
  let scored = 0;
  const tooMany = words.findIndex(({ chunks }, index) => {
    scored += chunks;
    return index > 0 && scored > ROWS_SCORED;
  });
  return tooMany < 0 ? words.length : tooMany;
}

/** Terms are letters, marks and digits; the quotes keep AND, OR and NOT from being operators. */
function anyOf(words: readonly Counted[]): string {
  return words.map(({ term }) => `"${term}"`).join(' OR ');
}

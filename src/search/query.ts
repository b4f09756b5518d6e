/**
 * The best chunks for a query within one embedding space: nearest by vector, or by vector and words together.
 *
 * Up to `exactUpTo` chunks every vector is compared. Beyond that the sign bits of all chunks are compared by Hamming
 * distance, and the best candidates once more by their real vectors.
 *
 * Measured on 2 cores with 1536 dimensions, clustered data (common mean, 100 topics, 50 chunks a document), a new
 * process each time, file in the page cache of the system; first query / later ones, in ms:
 *
 *                                          10k exact    30k exact    100k coarse
 *   plain tables, 4 kB pages               49 / 48      130 / 130    67 / 30
 *   plain tables, 8 kB pages               38 / 38      105 / 105    53 / 28
 *   vec0 virtual tables                    42 / 36       90 / 82     92 / 73
 *   plain tables, compared in JavaScript   98 / 95         -         225 / 230
 *
 * vec0 wins a fifth on exact scans and loses twice as much on coarse ones. It also has no foreign keys and no filter by
 * a list of documents, so the vectors stay in plain tables. With nothing in the page cache the first query takes 80 to
 * 280 ms at 10k and 230 to 450 ms at 100k, in every layout.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import { checkVector, encodeVector, signBits } from '../domain/vector.ts';
import type { Db } from '../store/open.ts';
import { fused } from './fusion.ts';
import { wordExpression } from './lexical.ts';

/** Above this many chunks an exact scan takes longer than 0.1 s. */
const EXACT_UP_TO = 30_000;
/**
 * Candidates of a coarse scan that are compared by their real vectors: at least this many, and 40 for each wanted hit.
 * Recall of the first 10 is 1 with 100 candidates on the clustered data; on 40,000 chunks of manual pages with mock vectors
 * and queries of 3 to 8 words, which are far from everything, it is 0.91 with 100, 0.97 with 200 and 0.98 with 400.
 */
const LEAST_CANDIDATES = 400;
const CANDIDATES_PER_HIT = 40;
/** Chunks that each way of looking puts up, or as many as are wanted: with 50, 100, 200 or 400 the same questions are answered. */
const CANDIDATES = 100;

export interface SearchQuestion {
  /** Name of the embedding space of `query`. */
  space: string;
  query: Float32Array;
  /** The query in words, to rank by vectors and words together; absent means by vectors alone. */
  text?: string;
  /** Most hits wanted. */
  k: number;
  /** Only chunks of these documents; absent means all. */
  documentIds?: readonly string[];
  /** Least cosine of a hit. */
  minScore?: number;
  exactUpTo?: number;
}

export interface SearchHit {
  /** Cosine of the angle to the query, from -1 to 1. */
  score: number;
  /** What the order goes by: about 0 to 1 within one answer, not to be compared with another answer. */
  relevance: number;
  chunkId: string;
  documentId: string;
  filename: string;
  /** Absolute path it was uploaded from, `null` for standard input. */
  sourcePath: string | null;
  pageFrom: number;
  pageTo: number;
  /** Headings above the chunk, outermost first. */
  headingPath: string[];
  text: string;
  chunkOrd: number;
  /** Who made the vector. */
  origin: Origin;
  /** The newer version of the document, where both were kept. */
  supersededBy: string | null;
}

export interface SearchAnswer {
  /** Best first by relevance; equals by score, then in the order the chunks were stored. */
  hits: SearchHit[];
  /** `hybrid`: vectors and words; `vector`: no words were given, or none tells one chunk from another. */
  rankedBy: 'hybrid' | 'vector';
  /** Score of the nearest chunk, hit or not; `null` when there was none to compare. */
  bestScore: number | null;
  /** Chunks compared. */
  searched: number;
  /** Chunks left out because their vectors are of another space. */
  excluded: { space: string; chunks: number }[];
  method: 'exact' | 'coarse';
}

/**
 * Finds the `k` best chunks for a query. The vector functions must be loaded (`Store.loadVectorExtension`). A space that
 * nothing was ever stored in gives no hits; whether that deserves an error is the caller's question (`listSpaces`).
 * Throws when the query is no unit vector of the space.
 */
export async function searchSpace(db: Db, question: SearchQuestion): Promise<SearchAnswer> {
  const { space: name, query, text, k, documentIds, minScore = -1, exactUpTo = EXACT_UP_TO } = question;
  const counts = await countBySpace(db, documentIds);
  const excluded = counts.filter((row) => row.name !== name).map((row) => ({ space: row.name, chunks: row.chunks }));
  const space = counts.find((row) => row.name === name);
  if (space === undefined) {
    return { hits: [], rankedBy: 'vector', bestScore: null, searched: 0, excluded, method: 'exact' };
  }
  const reason = checkVector(query, space.dimensions);
  if (reason !== null) throw new Error(`the query cannot be compared in space ${name}: ${reason}`);

  const method = space.chunks <= exactUpTo ? 'exact' : 'coarse';
  const scope = { spaceId: space.space_id, documentIds };
  const source =
    method === 'exact' ? inScope(scope) : shortlisted(scope, query, Math.max(LEAST_CANDIDATES, k * CANDIDATES_PER_HIT));
  const expression = text === undefined ? null : await wordExpression(db, text);
  const depth = Math.max(CANDIDATES, k);
  const candidates = await candidatesFor(db, scope, { source, query, expression, depth });
  return {
    hits: fused(candidates)
      .filter(({ score }) => score >= minScore)
      .slice(0, k)
      .map(({ words: _, ...hit }) => hit),
    rankedBy: candidates.some(({ words }) => words > 0) ? 'hybrid' : 'vector',
    bestScore: candidates[0]?.score ?? null,
    searched: space.chunks,
    excluded,
    method,
  };
}

interface Scope {
  spaceId: number;
  documentIds: readonly string[] | undefined;
}

interface SpaceCount {
  space_id: number;
  name: string;
  dimensions: number;
  chunks: number;
}

/** Sizes of the spaces that have chunks in scope, by name. Both forms are answered from an index alone (5 ms for 100k). */
async function countBySpace(db: Db, documentIds: readonly string[] | undefined): Promise<SpaceCount[]> {
  let counted = db
    .selectFrom('vectors')
    .select(({ fn }) => ['space_id', fn.countAll<number>().as('chunks')])
    .groupBy('space_id');
  if (documentIds !== undefined) counted = counted.where('document_id', 'in', listed(documentIds));
  return db
    .selectFrom(counted.as('c'))
    .innerJoin('embedding_spaces as s', 's.space_id', 'c.space_id')
    .select(['s.space_id', 's.name', 's.dimensions', 'c.chunks'])
    .orderBy('s.name')
    .execute();
}

/** `FROM` of an exact scan. The index is named: the planner cannot know that rows in the order of the table are read faster. */
function inScope({ spaceId, documentIds }: Scope): RawBuilder<unknown> {
  return documentIds === undefined
    ? sql`vectors INDEXED BY vectors_by_space WHERE space_id = ${spaceId}`
    : sql`vectors INDEXED BY vectors_by_document WHERE document_id IN ${listed(documentIds)} AND space_id = ${spaceId}`;
}

/** `FROM` of the rows that are nearest by their sign bits. */
function shortlisted(scope: Scope, query: Float32Array, count: number): RawBuilder<unknown> {
  const within =
    scope.documentIds === undefined ? sql`` : sql`AND vector_id IN (SELECT vector_id FROM ${inScope(scope)})`;
  return sql`vectors WHERE vector_id IN (
    SELECT vector_id FROM vector_bits WHERE space_id = ${scope.spaceId} ${within}
    ORDER BY vec_distance_hamming(vec_bit(bits), vec_bit(${signBits(query)})), vector_id LIMIT ${count})`;
}

/**
 * `SELECT` of the chunks in scope that fit an expression, best first. FTS5 gives out all chunks of the store best first, and
 * reading them stops at the limit. For a list of documents that is slow (75 ms for 3 of 1,000), since most of what is read
 * is not in scope; there `+` makes SQLite look at the document before it asks for the rank (5 ms).
 */
function havingWords({ spaceId, documentIds }: Scope, expression: string | null, depth: number): RawBuilder<unknown> {
  if (expression === null) return sql`SELECT NULL AS vector_id, 0 AS words WHERE FALSE`;
  const [within, rank] =
    documentIds === undefined
      ? [sql``, sql`w.rank`]
      : [
          sql`AND +w.rowid IN (SELECT chunk_no FROM document_chunks WHERE document_id IN ${listed(documentIds)})`,
          sql`+w.rank`,
        ];
  return sql`SELECT v.vector_id, -w.rank AS words
    FROM chunk_words AS w
    CROSS JOIN document_chunks AS c ON c.chunk_no = w.rowid
    CROSS JOIN vectors AS v ON v.chunk_id = c.chunk_id AND v.space_id = ${spaceId}
    WHERE w.chunk_words MATCH ${expression} ${within} ORDER BY ${rank} LIMIT ${depth}`;
}

interface CandidateRow extends Omit<SearchHit, 'headingPath' | 'relevance'> {
  words: number;
  headingPath: string;
}

interface Ways {
  source: RawBuilder<unknown>;
  query: Float32Array;
  expression: string | null;
  depth: number;
}

/**
 * What either way puts up, nearest first, each with its exact cosine. One statement, so that a document another process
 * replaces meanwhile is seen either before or after, never half.
 */
async function candidatesFor(db: Db, scope: Scope, { source, query, expression, depth }: Ways) {
  const cosine = (vector: RawBuilder<unknown>) => sql`1 - vec_distance_cosine(${vector}, ${encodeVector(query)})`;
  const { rows } = await sql<CandidateRow>`
    WITH near AS MATERIALIZED (
      SELECT vector_id, ${cosine(sql`vector`)} AS score FROM ${source} ORDER BY score DESC, vector_id LIMIT ${depth}
    ), alike AS MATERIALIZED (${havingWords(scope, expression, depth)}),
    either AS MATERIALIZED (SELECT vector_id FROM near UNION SELECT vector_id FROM alike)
    SELECT COALESCE(near.score, ${cosine(sql`v.vector`)}) AS score, COALESCE(alike.words, 0) AS words,
      v.chunk_id AS chunkId, v.document_id AS documentId, d.filename, d.source_path AS sourcePath,
      c.page_from AS pageFrom, c.page_to AS pageTo, c.heading_path AS headingPath, c.text, c.chunk_ord AS chunkOrd,
      v.origin, d.superseded_by AS supersededBy
    FROM either
    JOIN vectors AS v ON v.vector_id = either.vector_id
    LEFT JOIN near ON near.vector_id = v.vector_id
    LEFT JOIN alike ON alike.vector_id = v.vector_id
    JOIN document_chunks AS c ON c.chunk_id = v.chunk_id
    JOIN documents AS d ON d.document_id = v.document_id
    ORDER BY score DESC, v.vector_id`.execute(db);
  return rows.map((row) => ({ ...row, headingPath: JSON.parse(row.headingPath) as string[] }));
}

/** A list as one parameter: any length, and one statement text for the cache of the driver. */
function listed(values: readonly string[]): RawBuilder<string> {
  return sql<string>`(SELECT value FROM json_each(${JSON.stringify(values)}))`;
}

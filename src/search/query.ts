/**
 * Nearest chunks to a query vector, within one embedding space.
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

/** Above this many chunks an exact scan takes longer than 0.1 s. */
const EXACT_UP_TO = 30_000;
/**
 * Candidates of a coarse scan that are compared by their real vectors: at least this many, and 40 for each wanted hit.
 * Recall of the first 10 is 1 with 100 candidates on the clustered data; on 40,000 chunks of manual pages with mock vectors
 * and queries of 3 to 8 words, which are far from everything, it is 0.91 with 100, 0.97 with 200 and 0.98 with 400.
 */
const LEAST_CANDIDATES = 400;
const CANDIDATES_PER_HIT = 40;

export interface SearchQuestion {
  /** Name of the embedding space of `query`. */
  space: string;
  query: Float32Array;
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
  /** Best first; equal scores in the order the chunks were stored. */
  hits: SearchHit[];
  /** Chunks compared. */
  searched: number;
  /** Chunks left out because their vectors are of another space. */
  excluded: { space: string; chunks: number }[];
  method: 'exact' | 'coarse';
}

/**
 * Finds the `k` chunks nearest to a query. The vector functions must be loaded (`Store.loadVectorExtension`). A space that
 * nothing was ever stored in gives no hits; whether that deserves an error is the caller's question (`listSpaces`).
 * Throws when the query is no unit vector of the space.
 */
export async function searchSpace(db: Db, question: SearchQuestion): Promise<SearchAnswer> {
  const { space: name, query, k, documentIds, minScore = -1, exactUpTo = EXACT_UP_TO } = question;
  const counts = await countBySpace(db, documentIds);
  const excluded = counts.filter((row) => row.name !== name).map((row) => ({ space: row.name, chunks: row.chunks }));
  const space = counts.find((row) => row.name === name);
  if (space === undefined) return { hits: [], searched: 0, excluded, method: 'exact' };
  const reason = checkVector(query, space.dimensions);
  if (reason !== null) throw new Error(`the query cannot be compared in space ${name}: ${reason}`);

  const method = space.chunks <= exactUpTo ? 'exact' : 'coarse';
  const scope = { spaceId: space.space_id, documentIds };
  const source =
    method === 'exact' ? inScope(scope) : shortlisted(scope, query, Math.max(LEAST_CANDIDATES, k * CANDIDATES_PER_HIT));
  return { hits: await nearest(db, source, query, { k, minScore }), searched: space.chunks, excluded, method };
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

interface HitRow extends Omit<SearchHit, 'headingPath'> {
  headingPath: string;
}

/** One statement, so that a document another process replaces meanwhile is seen either before or after, never half. */
async function nearest(
  db: Db,
  source: RawBuilder<unknown>,
  query: Float32Array,
  { k, minScore }: { k: number; minScore: number },
): Promise<SearchHit[]> {
  const { rows } = await sql<HitRow>`
    WITH best AS MATERIALIZED (
      SELECT vector_id, 1 - vec_distance_cosine(vector, ${encodeVector(query)}) AS score
      FROM ${source} ORDER BY score DESC, vector_id LIMIT ${k}
    )
    SELECT best.score, v.chunk_id AS chunkId, v.document_id AS documentId, d.filename, d.source_path AS sourcePath,
      c.page_from AS pageFrom,
      c.page_to AS pageTo, c.heading_path AS headingPath, c.text, c.chunk_ord AS chunkOrd, v.origin,
      d.superseded_by AS supersededBy
    FROM best
    JOIN vectors AS v ON v.vector_id = best.vector_id
    JOIN document_chunks AS c ON c.chunk_id = v.chunk_id
    JOIN documents AS d ON d.document_id = v.document_id
    WHERE best.score >= ${minScore}
    ORDER BY best.score DESC, best.vector_id`.execute(db);
  return rows.map((row) => ({ ...row, headingPath: JSON.parse(row.headingPath) as string[] }));
}

/** A list as one parameter: any length, and one statement text for the cache of the driver. */
function listed(values: readonly string[]): RawBuilder<string> {
  return sql<string>`(SELECT value FROM json_each(${JSON.stringify(values)}))`;
}

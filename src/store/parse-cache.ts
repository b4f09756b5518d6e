/** Parses by content and options: whoever asks for the same again pays nothing. */
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { ParsedPage } from '../domain/parsed-page.ts';
import type { Origin } from '../domain/service-mode.ts';
import type { Db, Trx } from './open.ts';

/** Everything that decides what a parse gives back. */
export interface ParseIdentity {
  fileSha256: string;
  parserName: string;
  /** Tier and dated version, for example `cost_effective@2026-08-19`. */
  parserVersion: string;
  origin: Origin;
  /** Most pages the parser may read. */
  pages: number;
  /** Only these pages, in any order; absent means all. */
  targetPages?: readonly number[];
  /** Further options that change the output. */
  options?: Readonly<Record<string, unknown>>;
}

export interface CachedParse {
  pages: ParsedPage[];
  /** Credits it was billed when it was made; `null` when the service never said. */
  credits: number | null;
  madeAt: number;
}

/**
 * The remembered parse, or `null`; its use at `now` is noted. A row that is damaged, of another file or of another
 * origin is removed instead of used.
 */
export async function cachedParse(trx: Trx, identity: ParseIdentity, now: number): Promise<CachedParse | null> {
  const key = cacheKey(identity);
  const row = await trx.selectFrom('parse_cache').selectAll().where('cache_key', '=', key).executeTakeFirst();
  if (row === undefined) return null;
  const pages = readPages(row.pages);
  if (pages === null || row.file_sha256 !== identity.fileSha256 || row.origin !== identity.origin) {
    await trx.deleteFrom('parse_cache').where('cache_key', '=', key).execute();
    return null;
  }
  await trx
    .updateTable('parse_cache')
    .set((column) => ({ last_used_at: now, uses: column('uses', '+', 1) }))
    .where('cache_key', '=', key)
    .execute();
  return { pages, credits: row.credits, madeAt: row.made_at };
}

/** Whether a parse is remembered, as far as can be told without reading its pages. Notes no use: for estimates. */
export async function isParseCached(db: Db, identity: ParseIdentity): Promise<boolean> {
  const row = await db
    .selectFrom('parse_cache')
    .select(['file_sha256', 'origin'])
    .where('cache_key', '=', cacheKey(identity))
    .executeTakeFirst();
  return row !== undefined && row.file_sha256 === identity.fileSha256 && row.origin === identity.origin;
}

/**
 * Remembers a parse; a newer one of the same identity replaces it. One with a failed page is not remembered (and forgets
 * nothing): LlamaCloud itself once cached failures, and every later run failed until somebody emptied the cache.
 */
export async function rememberParse(
  trx: Trx,
  identity: ParseIdentity,
  { pages, credits, now }: { pages: readonly ParsedPage[]; credits: number | null; now: number },
): Promise<void> {
  if (!areUsable(pages)) return;
  const made = { pages: JSON.stringify(pages), credits, made_at: now, last_used_at: now };
  const { fileSha256, origin } = identity;
  await trx
    .insertInto('parse_cache')
    .values({ cache_key: cacheKey(identity), file_sha256: fileSha256, origin, ...made })
    .onConflict((conflict) => conflict.column('cache_key').doUpdateSet({ file_sha256: fileSha256, origin, ...made }))
    .execute();
}

/** Forgets every parse of a file: its last document is deleted. */
export async function forgetParsesOf(trx: Trx, fileSha256: string): Promise<void> {
  await trx.deleteFrom('parse_cache').where('file_sha256', '=', fileSha256).execute();
}

function cacheKey({ targetPages, ...identity }: ParseIdentity): string {
  const wanted = targetPages === undefined ? null : [...new Set(targetPages)].sort((a, b) => a - b);
  return sha256(canonicalJson({ ...identity, targetPages: wanted }));
}

function readPages(json: string): ParsedPage[] | null {
  try {
    const pages: unknown = JSON.parse(json);
    return areUsable(pages) ? pages : null;
  } catch {
    return null;
  }
}

/** At least one page, in page order, each once and with text (which may be empty: blank pages exist). */
function areUsable(pages: unknown): pages is ParsedPage[] {
  if (!Array.isArray(pages) || pages.length === 0) return false;
  let last = 0;
  return pages.every((page: { number?: unknown; markdown?: unknown } | null) => {
    if (page === null || typeof page !== 'object' || typeof page.markdown !== 'string') return false;
    if (typeof page.number !== 'number' || !Number.isSafeInteger(page.number) || page.number <= last) return false;
    last = page.number;
    return true;
  });
}

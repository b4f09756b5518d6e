/** Parse results: the pages as the service gave them, and the validated markdown made of them. */
import { sql } from 'kysely';
import type { ParsedPage } from '../domain/parsed-page.ts';
import type { Db, Trx } from './open.ts';
import type { ParseRow } from './schema.ts';

/** Where a page begins in the normalised markdown, in UTF-16 units. */
export interface PageStart {
  number: number;
  start: number;
}

/**
 * Stores a parse; the same document parsed again by the same parser replaces its earlier result. Equal pages keep their
 * validated markdown: another job of the same document may be working on it.
 */
export async function putParse(
  trx: Trx,
  row: Pick<ParseRow, 'parse_id' | 'document_id' | 'parser_name' | 'parser_version' | 'origin' | 'created_at'> & {
    pages: readonly ParsedPage[];
  },
): Promise<void> {
  const fresh = {
    ...row,
    pages: JSON.stringify(row.pages),
    markdown: null,
    page_starts: null,
    markdown_sha256: null,
    incomplete_pages: null,
  };
  await trx
    .insertInto('parses')
    .values(fresh)
    .onConflict((conflict) =>
      conflict.column('parse_id').doUpdateSet(fresh).whereRef('parses.pages', '!=', sql.ref('excluded.pages')),
    )
    .execute();
}

/** Adds the validated markdown. */
export async function setMarkdown(
  trx: Trx,
  parseId: string,
  validated: { markdown: string; pageStarts: readonly PageStart[]; sha256: string },
): Promise<void> {
  await trx
    .updateTable('parses')
    .set({
      markdown: validated.markdown,
      page_starts: JSON.stringify(validated.pageStarts),
      markdown_sha256: validated.sha256,
    })
    .where('parse_id', '=', parseId)
    .execute();
}

/** Notes which pages were accepted although they lack something; an empty list clears the note. */
export async function setIncomplete(trx: Trx, parseId: string, pages: readonly number[]): Promise<void> {
  await trx
    .updateTable('parses')
    .set({ incomplete_pages: pages.length > 0 ? JSON.stringify(pages) : null })
    .where('parse_id', '=', parseId)
    .execute();
}

/** A stored parse, or `undefined`. */
export async function parseById(db: Db, parseId: string): Promise<ParseRow | undefined> {
  return db.selectFrom('parses').selectAll().where('parse_id', '=', parseId).executeTakeFirst();
}

/** The pages of a parse as the service gave them. */
export function pagesOf(row: ParseRow): ParsedPage[] {
  return JSON.parse(row.pages) as ParsedPage[];
}

/** Where each page begins; empty before validation. */
export function pageStartsOf(row: ParseRow): PageStart[] {
  return row.page_starts === null ? [] : (JSON.parse(row.page_starts) as PageStart[]);
}

/** Which documents lie at the parse service already, so that none is sent there twice. */
import type { Db, Trx } from './open.ts';

/** The service deletes uploads after 48 hours; the hour is for a parse that starts just before. */
const USABLE_MS = 47 * 3_600_000;

/**
 * The id a document has at the service, or `null` when it is not there or not for long. `account` is the fingerprint of
 * key and address: another key sees other files. After the wall clock was set back the age is unknown, and so is the file.
 */
export async function remoteFile(db: Db, account: string, fileSha256: string, now: number): Promise<string | null> {
  const row = await db
    .selectFrom('remote_files')
    .select('file_id')
    .where('account', '=', account)
    .where('file_sha256', '=', fileSha256)
    .where('uploaded_at', '>', now - USABLE_MS)
    .where('uploaded_at', '<=', now)
    .executeTakeFirst();
  return row?.file_id ?? null;
}

/** Remembers an upload. The same id again changes nothing: hearing of a file does not make it younger. */
export async function rememberRemoteFile(
  trx: Trx,
  { account, fileSha256, fileId, now }: { account: string; fileSha256: string; fileId: string; now: number },
): Promise<void> {
  await trx
    .insertInto('remote_files')
    .values({ account, file_sha256: fileSha256, file_id: fileId, uploaded_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(['account', 'file_sha256'])
        .doUpdateSet({ file_id: fileId, uploaded_at: now })
        .where('remote_files.file_id', '!=', fileId),
    )
    .execute();
}

/** Forgets an upload, of one account or of all of them: the service no longer has it, or the document is deleted. */
export async function forgetRemoteFile(trx: Trx, fileSha256: string, account?: string): Promise<void> {
  let query = trx.deleteFrom('remote_files').where('file_sha256', '=', fileSha256);
  if (account !== undefined) query = query.where('account', '=', account);
  await query.execute();
}

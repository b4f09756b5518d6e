/** Which documents lie at the parse service already, so that none is sent there twice. */
import type { Clock } from '../base/clock.ts';
import type { Store, Trx } from './open.ts';

/** The service deletes uploads after 48 hours; the hour is for a parse that starts just before. */
const USABLE_MS = 47 * 3_600_000;

/**
 * What the parse client remembers of its uploads. `account` is the fingerprint of key and address: another key sees other
 * files. A file is given for 47 hours; after the wall clock was set back its age is unknown, and it is not given. To put
 * the same id again changes nothing: hearing of a file does not make it younger.
 */
export function createRemoteFiles(store: Store, clock: Clock) {
  return {
    async get(account: string, sha256: string): Promise<string | null> {
      const now = clock.now();
      const row = await store.db
        .selectFrom('remote_files')
        .select('file_id')
        .where('account', '=', account)
        .where('file_sha256', '=', sha256)
        .where('uploaded_at', '>', now - USABLE_MS)
        .where('uploaded_at', '<=', now)
        .executeTakeFirst();
      return row?.file_id ?? null;
    },

    put: (account: string, sha256: string, fileId: string): Promise<void> =>
      store.write(async (trx) => {
        const now = clock.now();
        await trx
          .insertInto('remote_files')
          .values({ account, file_sha256: sha256, file_id: fileId, uploaded_at: now })
          .onConflict((conflict) =>
            conflict
              .columns(['account', 'file_sha256'])
              .doUpdateSet({ file_id: fileId, uploaded_at: now })
              .where('remote_files.file_id', '!=', fileId),
          )
          .execute();
      }),

    /** The service no longer has it. */
    forget: (account: string, sha256: string): Promise<void> =>
      store.write(async (trx) => {
        await trx.deleteFrom('remote_files').where('account', '=', account).where('file_sha256', '=', sha256).execute();
      }),
  };
}

/** Forgets the uploads of a file in every account: its last document is deleted. */
export async function forgetRemoteFiles(trx: Trx, fileSha256: string): Promise<void> {
  await trx.deleteFrom('remote_files').where('file_sha256', '=', fileSha256).execute();
}

/** Which key was used or refused, by fingerprint: an append-only list. */
import { sql } from 'kysely';
import type { Trx } from './open.ts';
import type { KeyAuditTable } from './services-schema.ts';

const FINGERPRINT = /^[0-9a-f]{8}$/;
const DETAIL_LENGTH = 300;

/**
 * Appends a line. `first_use` is written once for each service and fingerprint, however many processes start. Throws a
 * RangeError for anything but a fingerprint, so that no key can end up here.
 */
export async function appendKeyAudit(trx: Trx, line: KeyAuditTable): Promise<void> {
  if (!FINGERPRINT.test(line.fingerprint)) throw new RangeError('a key is audited by its fingerprint alone');
  const detail = line.detail.slice(0, DETAIL_LENGTH);
  await sql`
    INSERT INTO key_audit (at, service, fingerprint, event, detail)
    SELECT ${line.at}, ${line.service}, ${line.fingerprint}, ${line.event}, ${detail}
    WHERE ${line.event} <> 'first_use' OR NOT EXISTS (
      SELECT 1 FROM key_audit
      WHERE service = ${line.service} AND fingerprint = ${line.fingerprint} AND event = 'first_use'
    )`.execute(trx);
}

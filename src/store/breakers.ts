/** Breakers: one row per service, the same for every process. The rules are in `domain/breaker.ts`. */
import { ERROR_CODES, type ErrorCode } from '../base/error-codes.ts';
import { type Breaker, CLOSED } from '../domain/breaker.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import type { Db, Trx } from './open.ts';

const LABEL = 'TVDB-';

/** The breaker of a service; closed when nothing was ever written. */
export async function loadBreaker(db: Db, service: ServiceName): Promise<Breaker> {
  const row = await db.selectFrom('breakers').selectAll().where('service', '=', service).executeTakeFirst();
  if (row === undefined) return { ...CLOSED };
  return {
    state: row.state,
    failures: row.failures,
    paidFailures: row.paid_failures,
    refusals: row.refusals,
    pauses: row.pauses,
    reason: codeOf(row.reason),
    fingerprint: row.fingerprint,
    openedAt: row.opened_at,
    retryAt: row.retry_at,
    probeOwner: row.probe_owner,
    probeUntil: row.probe_until,
  };
}

/** Keeps a breaker. In the transaction that loaded it: two processes must not both become the one that tries. */
export async function saveBreaker(trx: Trx, service: ServiceName, breaker: Breaker, now: number): Promise<void> {
  const row = {
    state: breaker.state,
    failures: breaker.failures,
    paid_failures: breaker.paidFailures,
    refusals: breaker.refusals,
    pauses: breaker.pauses,
    reason: breaker.reason === null ? null : `${LABEL}${breaker.reason}`,
    fingerprint: breaker.fingerprint,
    opened_at: breaker.openedAt,
    retry_at: breaker.retryAt,
    probe_owner: breaker.probeOwner,
    probe_until: breaker.probeUntil,
    updated_at: now,
  };
  await trx
    .insertInto('breakers')
    .values({ service, ...row })
    .onConflict((conflict) => conflict.column('service').doUpdateSet(row))
    .execute();
}

/** Closes a breaker by hand, whatever opened it. True when it was not closed. */
export async function resetBreaker(trx: Trx, service: ServiceName, now: number): Promise<boolean> {
  const { state } = await loadBreaker(trx, service);
  await saveBreaker(trx, service, CLOSED, now);
  return state !== 'closed';
}

function codeOf(label: string | null): ErrorCode | null {
  const code = label?.slice(LABEL.length) ?? '';
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : null;
}

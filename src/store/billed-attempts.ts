/** Requests to paid services beside their money: what reconciliation compares with the services' own figures. */
import type { ServiceName } from '../domain/service-mode.ts';
import type { HoldRow } from './money-schema.ts';
import type { Db } from './open.ts';
import type { AttemptRow } from './schema.ts';

export interface BilledAttempt
  extends Pick<AttemptRow, 'attempt_id' | 'job_id' | 'remote_id' | 'outcome' | 'sent' | 'started_at' | 'billed_units'>,
    Pick<HoldRow, 'state' | 'amount' | 'settled_amount' | 'provisional' | 'held_at' | 'unit_price'> {
  service: ServiceName;
  /** The service's own id of the request. */
  request_id: string | null;
}

/** Every request with a hold that was made since a time, oldest first. */
export async function billedAttempts(db: Db, since: number): Promise<BilledAttempt[]> {
  return db
    .selectFrom('attempts as a')
    .innerJoin('holds as h', 'h.attempt_id', 'a.attempt_id')
    .select(['a.attempt_id', 'a.job_id', 'a.remote_id', 'a.outcome', 'a.sent', 'a.started_at', 'a.billed_units'])
    .select(['h.service', 'h.state', 'h.amount', 'h.settled_amount', 'h.provisional', 'h.held_at', 'h.unit_price'])
    .select('a.upstream_request_id as request_id')
    .where('a.started_at', '>=', since)
    .where('a.origin', '=', 'real')
    .orderBy('a.started_at')
    .orderBy('a.attempt_id')
    .execute();
}

/** Charges above what was reserved, which stop budgets until somebody has seen them. */
import { sql } from 'kysely';
import type { SpendRow } from './money-schema.ts';
import type { Db } from './open.ts';
import { IS_TWIN } from './twins.ts';

/** A charge above its hold that nobody has acknowledged. */
export interface Overrun {
  attempt_id: string;
  /** The request of which the service made this one besides; `null` for a request that cost more than its hold. */
  twin_of: string | null;
  job_id: string | null;
  service: SpendRow['service'];
  at: number;
  /** What was reserved before it left; 0 for a twin. */
  hold_amount: number;
  /** What was charged on top: of a twin all of it, as it is known by now. */
  amount: number;
}

/**
 * Every overrun that is not acknowledged, oldest first, one for each attempt. What was charged after somebody had seen an
 * attempt is not seen: the true figure of a twin may come later.
 */
export async function openOverruns(db: Db): Promise<Overrun[]> {
  const unseen = sql`NOT EXISTS (
    SELECT 1 FROM spend k WHERE k.attempt_id = s.attempt_id AND k.kind = 'acknowledge' AND k.seq > s.seq)`;
  const { rows } = await sql<Overrun & { seq: number }>`
    SELECT MIN(s.seq) AS seq, s.attempt_id, NULL AS twin_of, s.job_id, s.service, MIN(s.at) AS at, s.hold_amount,
      SUM(s.amount) AS amount
    FROM spend s
    WHERE s.kind IN ('overrun', 'correction_up') AND ${unseen}
      AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.attempt_id = s.attempt_id AND ${IS_TWIN})
    GROUP BY s.attempt_id
    UNION ALL
    SELECT MIN(s.seq), s.attempt_id, json_extract(a.options, '$.twin_of'), s.job_id, s.service, s.held_at, 0,
      COALESCE(h.settled_amount, IIF(h.state = 'released', 0, h.amount))
    FROM attempts a JOIN spend s ON s.attempt_id = a.attempt_id AND s.kind IN ('hold', 'overrun', 'correction_up')
    JOIN hold_states h ON h.held_at = s.held_at AND h.attempt_id = s.attempt_id
    WHERE ${IS_TWIN} AND ${unseen} GROUP BY s.attempt_id
    ORDER BY seq`.execute(db);
  return rows.map(({ seq: _seq, ...overrun }) => overrun);
}

/** Health samples: one row for every request to a service, the newest thousand of each, and what they add up to. */
import { sql } from 'kysely';
import type { ServiceName } from '../domain/service-mode.ts';
import type { Db, Trx } from './open.ts';
import type { ServiceHealthTable } from './services-schema.ts';

/** Samples kept per service. */
const KEPT = 1_000;
/** Old ones are removed once in so many inserts. */
const PRUNE_EVERY = 50;

export type HealthSample = ServiceHealthTable;

/** Adds a sample; now and then the oldest ones go. */
export async function addHealthSample(trx: Trx, sample: HealthSample): Promise<void> {
  const { insertId } = await trx.insertInto('service_health').values(sample).executeTakeFirstOrThrow();
  if (Number(insertId ?? 0) % PRUNE_EVERY !== 0) return;
  // By the order they were written in: the wall clock may have been set back between two of them.
  await sql`
    DELETE FROM service_health WHERE service = ${sample.service} AND rowid <= (
      SELECT rowid FROM service_health WHERE service = ${sample.service} ORDER BY rowid DESC LIMIT 1 OFFSET ${KEPT}
    )`.execute(trx);
}

export interface OperationHealth {
  operation: string;
  calls: number;
  failures: number;
  /** Of the calls that succeeded; `null` without one. */
  p50Ms: number | null;
  p95Ms: number | null;
}

export interface HealthSummary extends Omit<OperationHealth, 'operation'> {
  /** Failures among the calls; `null` without calls. */
  failureShare: number | null;
  operations: OperationHealth[];
  /** These two look at every sample kept, however old. */
  lastOkAt: number | null;
  lastError: { at: number; operation: string; code: string | null; httpStatus: number | null } | null;
}

/** What the samples of real requests say about a service since a time (wall clock, milliseconds). */
export async function healthSummary(db: Db, service: ServiceName, since: number): Promise<HealthSummary> {
  const rows = await db
    .selectFrom('service_health')
    .selectAll()
    .where('service', '=', service)
    .orderBy(sql`rowid`)
    .execute();
  const recent = rows.filter(({ at }) => at >= since);
  const names = [...new Set(recent.map(({ operation }) => operation))].sort();
  const all = figures(recent);
  const lastError = rows.findLast(({ ok }) => ok === 0);
  return {
    ...all,
    failureShare: all.calls === 0 ? null : all.failures / all.calls,
    operations: names.map((operation) => ({
      operation,
      ...figures(recent.filter((row) => row.operation === operation)),
    })),
    lastOkAt: rows.findLast(({ ok }) => ok === 1)?.at ?? null,
    lastError:
      lastError === undefined
        ? null
        : {
            at: lastError.at,
            operation: lastError.operation,
            code: lastError.code,
            httpStatus: lastError.http_status,
          },
  };
}

function figures(rows: readonly HealthSample[]): Omit<OperationHealth, 'operation'> {
  const latencies = rows
    .filter(({ ok }) => ok === 1)
    .map(({ latency_ms: ms }) => ms)
    .sort((a, b) => a - b);
  return {
    calls: rows.length,
    failures: rows.filter(({ ok }) => ok === 0).length,
    p50Ms: percentile(latencies, 0.5),
    p95Ms: percentile(latencies, 0.95),
  };
}

/** Nearest rank: a value that was really measured. */
function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

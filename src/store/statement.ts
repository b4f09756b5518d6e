/** Statements written by hand, for what runs once or more for every paid request. */
import { CompiledQuery } from 'kysely';
import type { Db, Trx } from './open.ts';

type Runner = (sql: string, values: readonly unknown[]) => unknown[];

const runners = new WeakMap<Db, Runner>();

/** Runs `work` with a transaction whose statements go straight to the connection until `work` ends. */
export async function withStatements<T>(trx: Trx, run: Runner, work: (trx: Trx) => Promise<T>): Promise<T> {
  runners.set(trx, run);
  try {
    return await work(trx);
  } finally {
    runners.delete(trx);
  }
}

/**
 * Runs a statement and returns its rows (none for one that returns none). The text must be one of a few: it is what the
 * driver knows a prepared statement by. On a transaction it does not pass through Kysely, which has nothing to add to a
 * text and takes as long as a small statement itself; secrets are not taken out of it, so it must not write words of
 * services. Throws what the store throws.
 */
export async function sqlRows<Row>(db: Db, sql: string, values: readonly unknown[]): Promise<Row[]> {
  const run = runners.get(db);
  if (run !== undefined) return run(sql, values) as Row[];
  return (await db.executeQuery<Row>(CompiledQuery.raw(sql, [...values]))).rows;
}

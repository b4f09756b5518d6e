/**
 * Attempts that nobody made: what a service made a second time of one request. They have a row for their money alone, so
 * whatever asks for the requests of a job as such leaves them out.
 */
import { type RawBuilder, sql } from 'kysely';

/** What the attempt of a twin has as its operation, by its service. */
export const TWIN_OPERATION = { parse: 'parse_twin', embed: 'embed_batch_twin' } as const;

/** All of them. */
export const TWIN_OPERATIONS: readonly string[] = Object.values(TWIN_OPERATION);

/** Condition on attempts named `a`: it is a twin. */
export const IS_TWIN: RawBuilder<boolean> = sql`a.operation IN (${sql.join(TWIN_OPERATIONS.map((name) => sql.lit(name)))})`;

/** Whether an attempt is what a service made a second time of another one. */
export function isTwin({ operation }: { operation: string }): boolean {
  return TWIN_OPERATIONS.includes(operation);
}

/** Runs: one row per invocation of a command that drives jobs. */
import type { ServiceMode } from '../domain/service-mode.ts';
import type { Db, Trx } from './open.ts';
import type { JobRow } from './schema.ts';

/** Opens a run. */
export async function startRun(
  trx: Trx,
  run: { runId: string; command: string; mode: ServiceMode | null; now: number },
): Promise<void> {
  await trx
    .insertInto('runs')
    .values({ run_id: run.runId, command: run.command, service_mode: run.mode, started_at: run.now })
    .execute();
}

/** Closes a run with its exit code. */
export async function endRun(trx: Trx, run: { runId: string; now: number; exitCode: number }): Promise<void> {
  await trx
    .updateTable('runs')
    .set({ ended_at: run.now, exit_code: run.exitCode })
    .where('run_id', '=', run.runId)
    .execute();
}

/** Those runs with a cap of their own (`--max-cost`) that have not ended, or were killed before they could. */
export async function cappedRunsUnderWay(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('runs')
    .select('run_id')
    .where('ended_at', 'is', null)
    .where('run_id', 'in', (query) => query.selectFrom('budgets').select('scope_value').where('source', '=', 'flag'))
    .execute();
  return rows.map(({ run_id }) => run_id);
}

/** The jobs a run covers, in the order they were made. */
export async function jobsOfRun(db: Db, runId: string): Promise<JobRow[]> {
  return db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('job_id', 'in', (query) => query.selectFrom('run_jobs').select('job_id').where('run_id', '=', runId))
    .orderBy('created_at')
    .orderBy('job_id')
    .execute();
}

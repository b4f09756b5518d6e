/** Jobs that rest, within what a worker may take. */
import type { ServiceMode } from '../../domain/service-mode.ts';
import type { Db } from '../open.ts';
import type { ParkedGroup } from '../queue.ts';

/** Why jobs of a run, or of a mode, rest at `now`: one group for each reason, the most frequent first. */
export async function parkedInScope(
  db: Db,
  now: number,
  scope: { runId: string | undefined; mode: ServiceMode | undefined },
): Promise<ParkedGroup[]> {
  const { runId, mode } = scope;
  let query = db
    .selectFrom('upload_jobs')
    .select((select) => [
      'park_reason as reason',
      select.fn.countAll<number>().as('jobs'),
      select.fn.min('run_after').as('until'),
    ])
    .where('lease_owner', 'is', null)
    .where('park_reason', 'is not', null)
    .where((where) => where.or([where('run_after', 'is', null), where('run_after', '>', now)]))
    .groupBy('park_reason')
    .orderBy('jobs', 'desc')
    .orderBy('park_reason');
  if (runId !== undefined)
    query = query.where('job_id', 'in', (from) =>
      from.selectFrom('run_jobs').select('job_id').where('run_id', '=', runId),
    );
  if (mode !== undefined) query = query.where('service_mode', '=', mode);
  const rows = await query.execute();
  return rows.flatMap(({ reason, jobs, until }) => (reason === null ? [] : [{ reason, jobs, until }]));
}

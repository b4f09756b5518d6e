/** Commits about a job that no worker has in hand. */
import { appendEvent } from '../store/events.ts';
import type { Trx } from '../store/open.ts';
import type { JobRow } from '../store/schema.ts';
import type { PipelineDeps, StageEvent } from './stage.ts';

/**
 * The `record` of a stage without its lease: commits facts and an event of `job` in one transaction. For what is true
 * whoever works on the job (what a service did); nothing that changes the job itself may be written by it.
 */
export function unleased(
  job: JobRow,
  { store, clock, ids }: Pick<PipelineDeps, 'store' | 'clock' | 'ids'>,
): (write: (trx: Trx) => Promise<void>, more?: { event?: StageEvent }) => Promise<void> {
  return (write, { event } = {}) =>
    store.write(async (trx) => {
      await write(trx);
      if (event !== undefined) await appendEvent(trx, { ...event, eventId: ids.uuid(), at: clock.now(), subject: job });
    });
}

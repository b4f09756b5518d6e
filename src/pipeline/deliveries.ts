/** Takes up what webhooks told: jobs that rest for a result are due at once. The result itself comes from the service. */
import { appendEvent } from '../store/events.ts';
import { unhandledMatches, wakeDelivered } from '../store/inbox.ts';
import { jobById } from '../store/jobs/find.ts';
import type { JobEventRow, JobRow } from '../store/schema.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/** Makes every job due of whose parse a delivery tells. One cheap question when there is none. */
export async function takeUpDeliveries({ store, clock, ids }: PipelineDeps, onEvent: OnEvent): Promise<void> {
  if ((await unhandledMatches(store.db)).length === 0) return;
  const told = await store.writeRelaxed(async (trx) => {
    const events: { event: JobEventRow; job: JobRow }[] = [];
    for (const jobId of await wakeDelivered(trx, clock.now())) {
      const job = await jobById(trx, jobId);
      if (job === undefined) continue;
      const event = await appendEvent(trx, {
        code: 'WEBHOOK_RECEIVED',
        eventId: ids.uuid(),
        at: clock.now(),
        subject: job,
        from: job.status,
        to: job.status,
      });
      events.push({ event, job });
    }
    return events;
  });
  for (const { event, job } of told) onEvent(event, job);
}

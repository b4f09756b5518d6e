/** Which webhooks a job sends and when, in step with its life and with everything that can go wrong. */
import type { Clock } from '../base/clock.ts';
import { parseDuration } from './fault-syntax.ts';
import type { Fault } from './faults.ts';
import type { ParseJob } from './parse-job.ts';
import type { WebhookConfiguration } from './parse-request.ts';
import type { Courier } from './webhook-delivery.ts';

export interface WebhookSchedule {
  /** Sends the event of the state a job has just reached. Does not wait. */
  reached(job: ParseJob): void;
  /** To be awaited before the create call is answered; for the fault `early`. */
  beforeAnswer(job: ParseJob): Promise<void>;
}

const EVENTS: Readonly<Record<ParseJob['status'], string>> = {
  PENDING: 'parse.pending',
  RUNNING: 'parse.running',
  COMPLETED: 'parse.success',
  FAILED: 'parse.error',
  CANCELLED: 'parse.cancelled',
};

/** `faultsOf` gives what was decided for a job when it was made. */
export function createWebhookSchedule(
  courier: Courier,
  clock: Clock,
  closing: AbortSignal,
  faultsOf: (job: ParseJob) => ReadonlyMap<string, Fault>,
): WebhookSchedule {
  const secrets: string[] = [];
  const held = new Map<string, string[]>();
  const queues = new Map<string, Promise<void>>();

  async function send(job: ParseJob, event: string, due: number): Promise<void> {
    const faults = faultsOf(job);
    if (faults.has('missing')) return;
    const wait = due - clock.monotonic();
    if (wait > 0) await clock.sleep(wait, closing).catch(() => {});
    const copies = faults.has('duplicate') ? Number(faults.get('duplicate')?.params.value ?? 2) : 1;
    const targets = (job.body.webhook_configurations ?? []).filter((target) => wants(target, event));
    await Promise.all(
      targets.flatMap((target) =>
        Array.from({ length: copies }, () =>
          courier.deliver({ jobId: job.id, event, target, faults, oldSecret: before(target) }),
        ),
      ),
    );
  }

  /** Events of one job leave one after the other, unless that is what is to go wrong. */
  function queue(job: ParseJob, events: readonly string[]): void {
    const after = queues.get(job.id) ?? Promise.resolve();
    const late = faultsOf(job).get('late');
    // From now, not from the delivery before: all are late by the same time.
    const due = clock.monotonic() + (late === undefined ? 0 : (parseDuration(late.params.value ?? '5s') ?? 0));
    queues.set(
      job.id,
      events.reduce((last, event) => last.then(() => send(job, event, due)), after),
    );
  }

  function before({ webhook_signing_secret: secret }: WebhookConfiguration): string | undefined {
    return secrets.slice(0, secrets.lastIndexOf(secret ?? '')).findLast((other) => other !== secret);
  }

  function remember(job: ParseJob): void {
    for (const { webhook_signing_secret: secret } of job.body.webhook_configurations ?? []) {
      if (secret && !secrets.includes(secret)) secrets.push(secret);
    }
  }

  return {
    reached(job) {
      const faults = faultsOf(job);
      if (job.status === 'PENDING') remember(job);
      const event = EVENTS[job.status];
      const partial = job.status === 'COMPLETED' && job.result.some(({ error }) => error !== undefined);
      const events = [partial ? 'parse.partial_success' : event];
      if (faults.has('early') && job.status === 'COMPLETED') return;
      if (faults.has('premature')) {
        if (job.status === 'COMPLETED') return;
        if (job.status === 'RUNNING') events.push('parse.success');
      }
      if (!faults.has('reorder')) return queue(job, events);
      const waiting = [...events, ...(held.get(job.id) ?? [])];
      held.set(job.id, waiting);
      if (job.status !== 'PENDING' && job.status !== 'RUNNING') queue(job, waiting);
    },
    async beforeAnswer(job) {
      if (faultsOf(job).has('early')) await send(job, 'parse.success', clock.monotonic());
    },
  };
}

function wants({ webhook_url: url, webhook_events: events }: WebhookConfiguration, event: string): boolean {
  return Boolean(url) && (!events || events.includes(event));
}

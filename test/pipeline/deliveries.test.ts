/** What webhooks may change about a parse: when it is looked at, and nothing else. */
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import type { JobStatus } from '../../src/domain/job-state.ts';
import type { WebhookEvent } from '../../src/domain/webhook.ts';
import { takeUpDeliveries } from '../../src/pipeline/deliveries.ts';
import { createEmbedBatcher } from '../../src/pipeline/embed-batcher.ts';
import { runStep } from '../../src/pipeline/step.ts';
import type { ParsePoll } from '../../src/services/parse/port.ts';
import { insertDelivery, wakeDelivered } from '../../src/store/inbox.ts';
import type { JobRow } from '../../src/store/schema.ts';
import { documentRow, jobRow } from '../setup/jobs.ts';
import {
  attemptsOf,
  codesOf,
  crash,
  expectSound,
  finish,
  type PaidLine,
  paidLine,
  problem,
  settle,
  unknown,
  until,
} from './paid-services.ts';

const EVENTS = ['pending', 'running', 'success', 'partial_success', 'error', 'cancelled'] as const;

let deliveries = 0;

/** Keeps a delivery as the listener does. */
function deliver({ store, clock }: PaidLine, remoteJobId: string, event: (typeof EVENTS)[number]) {
  deliveries += 1;
  const eventId = `evt-${deliveries}`;
  const name: WebhookEvent = `parse.${event}`;
  return store.write((trx) =>
    insertDelivery(trx, { eventId, event: name, remoteJobId, receivedAt: clock.now(), bodySha256: sha256(eventId) }),
  );
}

/** Every string of events up to a length, the empty one left out. */
function strings(longest: number): (typeof EVENTS)[number][][] {
  let last: (typeof EVENTS)[number][][] = [[]];
  const all: typeof last = [];
  for (let length = 1; length <= longest; length += 1) {
    last = last.flatMap((string) => EVENTS.map((event) => [...string, event]));
    all.push(...last);
  }
  return all;
}

const DONE: ParsePoll = { state: 'done' };
const FAILED: ParsePoll = { state: 'failed', error: problem('E310', 'It cannot be parsed') };

/**
 * Jobs whose parse was asked for, one for each string; each string is delivered event by event, and after each event, and
 * once more after the last, whoever is due is worked on. Returns where each job stands then.
 */
async function endsAfter(all: (typeof EVENTS)[number][][], truth: (looks: number) => ParsePoll | undefined) {
  const looks = new Map<string, number>();
  const line = paidLine({
    paid: {
      page: (number) => ({ number, markdown: 'x' }),
      onPoll: (job) => {
        const seen = (looks.get(job?.id ?? '') ?? 0) + 1;
        looks.set(job?.id ?? '', seen);
        return truth(seen) ?? { state: 'running' };
      },
    },
  });
  const { store, deps, clock } = line;
  const remoteIds = await awaitingJobs(line, all.length);
  const hands = {
    abort: new AbortController().signal,
    stopping: new AbortController().signal,
    runId: null,
    capReached: () => {},
    batcher: createEmbedBatcher(deps, null, new AbortController().signal),
    idle: <T>(promise: Promise<T>) => promise,
  };
  /** One step for each job that is due, as a worker would take it. */
  const work = async () => {
    await takeUpDeliveries(deps, () => {});
    const due = store.sqlite
      .prepare(
        `UPDATE upload_jobs SET lease_owner = 'w', lease_until = ?, fence = fence + 1, park_reason = NULL, run_after = NULL
         WHERE status = 'parse_queued' AND run_after <= ? RETURNING *`,
      )
      .all(clock.now() + 1e6, clock.now()) as JobRow[];
    for (const job of due) await runStep(job, deps, hands, () => {});
  };
  const longest = Math.max(...all.map(({ length }) => length));
  for (let at = 0; at < longest; at += 1) {
    await deliverAt(line, all, remoteIds, at);
    await work();
  }
  for (let round = 0; round < 4; round += 1) {
    clock.jump(300_000);
    await work();
  }
  return endsOf(line);
}

function endsOf({ store }: PaidLine): { status: JobStatus; outcome: string; parses: number; waiting: number }[] {
  return store.sqlite
    .prepare(
      `SELECT j.status, a.outcome, (SELECT COUNT(*) FROM parses p WHERE p.parse_id = j.parse_id) AS parses,
         (SELECT COUNT(*) FROM webhook_inbox w WHERE w.remote_job_id = a.remote_id AND w.handled_at IS NULL
            AND a.outcome = 'sent') AS waiting
       FROM upload_jobs j JOIN attempts a ON a.job_id = j.job_id ORDER BY j.rowid`,
    )
    .all() as never;
}

/** Jobs that rest for a result of the paid service; their remote ids. */
async function awaitingJobs({ deps: { ids, clock, router }, store, remote }: PaidLine, count: number) {
  const decision = JSON.stringify(router.decide('real'));
  const documents: object[] = [];
  const jobs: object[] = [];
  const attempts: object[] = [];
  const remoteIds = Array.from({ length: count }, () => {
    const document = documentRow(ids, { pages: 1 });
    const jobId = ids.uuid();
    const attemptId = ids.uuid();
    const remoteId = remote.create({ pages: 1 } as never, attemptId);
    const now = clock.now();
    documents.push(document);
    jobs.push({
      ...jobRow(ids, document, { job_id: jobId, status: 'parse_queued', service_mode: 'real', config_key: jobId }),
      service_router_config: decision,
      parse_id: `parse-${jobId}`,
      parser_name: 'paid',
      parser_version: 'tier@1',
      parse_origin: 'real',
      park_reason: 'awaiting_result',
      park_note: 'the parser is at work',
      run_after: now + 100_000,
    });
    attempts.push({
      attempt_id: attemptId,
      job_id: jobId,
      service: 'parse',
      operation: 'parse',
      request_hash: sha256(attemptId),
      units: 1,
      started_at: now,
      sent: now,
      origin: 'real',
      outcome: 'sent',
      remote_id: remoteId,
    });
    return remoteId;
  });
  for (const [table, rows] of Object.entries({ documents, upload_jobs: jobs, attempts })) {
    const columns = Object.keys(rows[0] ?? {});
    const insert = store.sqlite.prepare(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((column) => `@${column}`).join(', ')})`,
    );
    store.sqlite.transaction(() => rows.map((row) => insert.run(row)))();
  }
  return remoteIds;
}

/** Delivers the event at one place of every string, as far as it goes. */
async function deliverAt({ store, clock }: PaidLine, all: readonly string[][], remoteIds: string[], at: number) {
  await store.write(async (trx) => {
    for (const [index, string] of all.entries()) {
      const event = string[at];
      if (event === undefined) continue;
      await insertDelivery(trx, {
        eventId: `${index}-${at}`,
        event: `parse.${event}` as WebhookEvent,
        remoteJobId: remoteIds[index] ?? '',
        receivedAt: clock.now(),
        bodySha256: 'b'.repeat(64),
      });
    }
  });
}

/** Every way in which events can make a job due or not, one after the other, up to length 5. */
function patterns(): (typeof EVENTS)[number][][] {
  const ends = ['success', 'partial_success', 'error', 'cancelled'] as const;
  const all: (typeof EVENTS)[number][][] = [];
  for (let length = 1; length <= 5; length += 1) {
    for (let bits = 0; bits < 2 ** length; bits += 1) {
      let used = 0;
      const due = Array.from({ length }, (_, at) => ((bits >> at) & 1) === 1);
      // There are four ends, and each is news once.
      if (due.filter(Boolean).length > ends.length) continue;
      all.push(due.map((isDue) => (isDue ? ends[used++ % 4] : 'pending') ?? 'pending'));
    }
  }
  return all;
}

describe('T50 strings of events', () => {
  it('all 9,330 up to length 5 change when a parse is looked at, the first time they tell of an end, and nothing else', async () => {
    const all = strings(5);
    expect(all).toHaveLength(9_330);
    const line = paidLine();
    const { store, clock } = line;
    const remoteIds = await awaitingJobs(line, all.length);
    const rest = clock.now() + 100_000;
    const rows = () => [
      store.sqlite.prepare('SELECT * FROM upload_jobs ORDER BY rowid').all(),
      store.sqlite.prepare('SELECT * FROM attempts ORDER BY rowid').all(),
    ];
    const before = rows();
    const jobIds = (before[0] as JobRow[]).map(({ job_id: id }) => id);
    for (let at = 0; at < 5; at += 1) {
      await deliverAt(line, all, remoteIds, at);
      const woken = await store.write((trx) => wakeDelivered(trx, clock.now()));
      const news = jobIds.filter((_, index) => {
        const event = all[index]?.[at];
        if (event === undefined || event === 'pending' || event === 'running') return false;
        return all[index]?.indexOf(event) === at;
      });
      expect(new Set(woken)).toEqual(new Set(news));
      // A look that finds it running lets it rest again.
      store.sqlite.prepare('UPDATE upload_jobs SET run_after = ?, updated_at = 1').run(rest);
    }
    expect(rows()).toEqual(before);
  }, 60_000);

  it.each([
    ['done', () => DONE],
    ['failed', () => FAILED],
    ['done after the third look', (looks: number) => (looks >= 3 ? DONE : undefined)],
    ['failed after the second look', (looks: number) => (looks >= 2 ? FAILED : undefined)],
    ['running for ever', () => undefined],
  ])('end where polling alone ends, whichever of them make a job due, when the truth is: %s', async (_truth, truth) => {
    const all = patterns();
    const [byPolling] = await endsAfter([[]], truth);
    expect(await endsAfter(all, truth)).toEqual(all.map(() => byPolling));
  });
});

describe('T52 a webhook that is early', () => {
  it.each([
    ['before the answer to the request', false],
    ['and that answer never comes', true],
  ])('%s: one remote job, taken up, no second request', async (_when, lost) => {
    const line: PaidLine = paidLine({
      paid: {
        onSubmit: async (create) => {
          const id = create();
          await deliver(line, id, 'success');
          if (lost) throw unknown();
          return id;
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(line.remote.posts).toHaveLength(1);
    expect(await attemptsOf(line, 'parse')).toMatchObject([{ outcome: 'ok', remote_id: 'pjb-1' }]);
    await expectSound(line);
  });

  it('makes the result come sooner than polling would', async () => {
    const line = paidLine({ paid: { latencyMs: 10_000 }, settings: { POLL_FIRST: 60_000, POLL_CAP: 60_000 } });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('PARSE_REQUESTED'));
    await line.clock.advance(11_000);
    await deliver(line, 'pjb-1', 'success');
    await settle(line.clock, running);
    expect(line.clock.monotonic()).toBeLessThan(40_000);
    expect(codesOf(line)).toContain('WEBHOOK_RECEIVED');
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });
});

describe('T53 no webhook at all', () => {
  it('polling finishes every job, at most one interval later', async () => {
    const line = paidLine({ paid: { latencyMs: 30_000 }, settings: { LLAMAPARSE_PARALLEL: 20, POLL_CAP: 15_000 } });
    for (let index = 0; index < 20; index += 1) await line.upload(`document ${index}`, { mode: 'real' });
    await finish(line);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'complete'));
    const stored = (await attemptsOf(line, 'parse')).map(({ latency_ms: ms }) => ms ?? Number.NaN);
    // One interval after it was done, and a look at the queue.
    for (const ms of stored) expect(ms).toBeLessThanOrEqual(30_000 + 15_000 + 3_000);
    expect(line.remote.posts).toHaveLength(20);
  });
});

describe('T54 a webhook that says success', () => {
  it.each([
    ['runs for another 10 s', { latencyMs: 12_000 }, 'complete'],
    [
      'does not know the parse yet',
      { onPoll: (_job: unknown, nth: number): ParsePoll | undefined => (nth < 3 ? { state: 'gone' } : undefined) },
      'complete',
    ],
    [
      'does not answer',
      {
        onPoll: (_job: unknown, nth: number): undefined => {
          if (nth < 3) throw problem('E303', 'no answer', { retry: { kind: 'later' } });
        },
      },
      'complete',
    ],
    ['says that it failed', { onPoll: (): ParsePoll => FAILED }, 'failed_parse'],
  ])('is not believed while the service %s', async (_what, paid, status) => {
    const line = paidLine({ paid });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('PARSE_REQUESTED'));
    await deliver(line, 'pjb-1', 'success');
    await settle(line.clock, running);
    expect(await line.jobs()).toMatchObject([{ status }]);
    expect(line.remote.posts).toHaveLength(1);
    // Nothing was stored before the service itself said that it is done.
    const stored = line.events.find(({ code }) => code === 'PARSE_STORED');
    expect(stored === undefined).toBe(status !== 'complete');
    await expectSound(line);
  });

  it('of a parse that nobody here asked for is kept and changes nothing', async () => {
    const line = paidLine();
    await deliver(line, 'pjb-999', 'success');
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(codesOf(line)).not.toContain('WEBHOOK_RECEIVED');
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });
});

describe('T55 a listener that is down', () => {
  it('costs nothing: the next run finishes what was asked for, without a paid request', async () => {
    const line = paidLine({ paid: { latencyMs: 5_000 } });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('PARSE_REQUESTED'));
    line.signals.stopping.abort();
    await settle(line.clock, running);
    line.clock.jump(3_600_000);
    const next = crash(line);
    await finish(next);
    expect(await next.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(line.remote.posts).toHaveLength(1);
  });
});

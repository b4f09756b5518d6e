/** `tvdb trace`: the story of a job, by any of its ids, as a page, rows, spans and events. */
import { EventEmitter } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemIds } from '../../src/base/ids.ts';
import { timeline } from '../../src/pipeline/timeline.ts';
import { insertIntent, markSent, updateAttempt } from '../../src/store/attempts.ts';
import { appendEvent, type NewEvent } from '../../src/store/events.ts';
import type { Store } from '../../src/store/open.ts';
import type { JobEventRow, JobRow, NewJob } from '../../src/store/schema.ts';
import { addJob } from '../setup/jobs.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { livesThrough, makeHome, type Seed, seed, storeAt } from './seeded-home.ts';

const START = Date.UTC(2026, 10, 23, 12);

type Told = Omit<NewEvent, 'eventId' | 'subject' | 'at'> & { at: number };

/** Appends events to a job at offsets in ms. */
async function tell(store: Store, job: JobRow, events: readonly Told[]): Promise<void> {
  await store.write(async (trx) => {
    for (const event of events)
      await appendEvent(trx, { ...event, at: START + event.at, eventId: systemIds.uuid(), subject: job });
  });
}

const NOTE = 'OpenAI is limiting requests (try 1 of 5)';
const RETRIED: readonly Told[] = [
  { at: 0, code: 'UPLOAD_ACCEPTED', stage: 'upload', to: 'uploaded', data: { pages: 12, bytes: 900_000 } },
  { at: 400, code: 'PARSE_INTENT', stage: 'parse', from: 'uploaded', to: 'parse_queued', durationMs: 100 },
  {
    at: 22_700,
    code: 'PARSE_STORED',
    stage: 'parse',
    from: 'parse_queued',
    to: 'parsed',
    durationMs: 22_300,
    data: { pages: 12 },
  },
  {
    at: 22_800,
    code: 'CHUNK_COMMITTED',
    stage: 'chunk',
    from: 'chunking',
    to: 'chunks_stored',
    durationMs: 100,
    data: { chunks: 47, tokens: 9_000 },
  },
  {
    at: 23_100,
    code: 'RETRY_SCHEDULED',
    severity: 'warn',
    stage: 'embed',
    from: 'embedding_queued',
    to: 'embedding_queued',
    durationMs: 300,
    data: { reason: 'retry', note: NOTE, until: START + 25_100 },
  },
  { at: 25_100, code: 'RESUMED', from: 'embedding_queued', to: 'embedding_queued', data: { tries: 1 } },
  {
    at: 25_600,
    code: 'EMBED_COMMITTED',
    stage: 'embed',
    from: 'embedding_in_progress',
    to: 'embeddings_stored',
    durationMs: 500,
    data: { vectors: 47 },
  },
  {
    at: 25_800,
    code: 'FINALIZED',
    stage: 'store',
    from: 'embeddings_stored',
    to: 'complete',
    durationMs: 200,
    data: { vectors: 47 },
  },
];

async function homeWith(events: readonly Told[], job: Partial<NewJob> = {}): Promise<{ home: string; job: JobRow }> {
  const home = tempDirectory();
  const ids = countingIds();
  const made = await storeAt(home, async (store) => {
    const row = await addJob(store, ids, { created_at: START, updated_at: START, ...job });
    await tell(store, row, events);
    return row;
  });
  return { home, job: made };
}

describe('a job that went through the pipeline', () => {
  let seeded: Seed;
  let job: JobRow;
  beforeAll(async () => {
    seeded = await seed(makeHome(), ['letter.pdf', 'unicode.pdf']);
    [job] = seeded.jobs as [JobRow];
  });

  it('shows one reference in full, and a row for each of the five steps', async () => {
    const { stdout, code } = await runTvdb(['trace', job.job_id.slice(0, 8)], {
      home: seeded.home,
      tty: true,
      cols: 100,
    });
    const text = stripVTControlCharacters(stdout);
    expect(code).toBe(0);
    expect(text.split(job.correlation_id)).toHaveLength(2);
    expect(text).not.toContain(job.job_id);
    const rows = text.split('\n').filter((line) => line.trimStart().startsWith('+'));
    expect(rows.map((line) => line.trim().split(/\s+/).slice(1, 3))).toEqual(
      ['upload', 'parse', 'chunk', 'embed', 'store'].map((step) => [step, 'ok']),
    );
    expect(text).toContain('mock/hash-ngram@1/1536   embedding: mock');
    expect(text).toContain('1 page');
  });

  it('has spans, events and the correlation id in JSON', async () => {
    const { json } = await runTvdb(['trace', job.job_id, '--json'], { home: seeded.home });
    expect(json.schema).toBe('tvdb.trace/v1');
    expect(json.data).toMatchObject({
      job_id: job.job_id,
      correlation_id: job.correlation_id,
      status: 'complete',
      pages: 1,
      nano_usd: 0,
      embedding_origin: 'mock',
    });
    expect(json.data.spans.map((span: { stage: string }) => span.stage)).toEqual([
      'upload',
      'parse',
      'chunk',
      'embed',
      'store',
    ]);
    expect(json.data.spans[1]).toMatchObject({
      status: 'ok',
      attempt: 1,
      max_attempts: 5,
      mode: 'mock',
      requests: 1,
      nano_usd: 0,
    });
    expect(json.data.events[0]).toMatchObject({ code: 'UPLOAD_ACCEPTED', type: 'upload', at_ms: 0 });
    expect(json.data.events.at(-1)).toMatchObject({ code: 'FINALIZED', to_status: 'complete' });
  });

  it.each(['job_id', 'correlation_id', 'document_id'] as const)('is found by its %s', async (key) => {
    const { stdout } = await runTvdb(['trace', job[key].slice(0, 13), '-q'], { home: seeded.home });
    expect(stdout.trimEnd()).toBe(job.job_id);
  });

  it('is found by the id the service gave its request', async () => {
    const remote = await storeAt(seeded.home, (store) =>
      store.db
        .selectFrom('attempts')
        .select('remote_id')
        .where('job_id', '=', job.job_id)
        .where('remote_id', 'is not', null)
        .executeTakeFirstOrThrow(),
    );
    const { stdout } = await runTvdb(['trace', remote.remote_id ?? '', '-q'], { home: seeded.home });
    expect(stdout.trimEnd()).toBe(job.job_id);
  });

  it('of a run tells every job', async () => {
    const { json } = await runTvdb(['trace', seeded.runId, '--json'], { home: seeded.home });
    expect(json.data.job_id).toBe(job.job_id);
    expect(json.data.other_traces.map((one: { job_id: string }) => one.job_id)).toEqual([seeded.jobs[1]?.job_id]);
  });

  it('of a document tells the newest job and names the others', async () => {
    const again = await seed(seeded.home, ['letter.pdf']);
    const { json } = await runTvdb(['trace', job.document_id, '--json'], { home: seeded.home });
    expect(json.data).toMatchObject({
      job_id: again.jobs[0]?.job_id,
      status: 'duplicate',
      duplicate_of: job.job_id,
      other_jobs: [job.job_id],
    });
  });

  it('--stage keeps one step, --full adds every event and request', async () => {
    const one = await runTvdb(['trace', job.job_id, '--stage', 'parse'], { home: seeded.home });
    expect(
      one.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[2]),
    ).toEqual(['parse']);
    const full = await runTvdb(['trace', job.job_id, '--full'], { home: seeded.home, tty: true, cols: 120 });
    const text = stripVTControlCharacters(full.stdout);
    for (const word of ['PARSE_INTENT', 'EMBED_COMMITTED', '-> complete', 'Requests']) expect(text).toContain(word);
  });

  it.each([40, 60, 80, 200])('fits on a terminal of %i columns, with a picture from 80 on', async (cols) => {
    const { stdout } = await runTvdb(['trace', job.job_id], { home: seeded.home, tty: true, cols });
    const text = stripVTControlCharacters(stdout);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(cols);
    expect(text.includes('━')).toBe(cols >= 80);
    expect(text).toContain('$0.0000');
  });

  it('has no picture for screen readers, and ASCII where asked', async () => {
    const spoken = await runTvdb(['trace', job.job_id], {
      home: seeded.home,
      tty: true,
      cols: 100,
      env: { TVDB_ACCESSIBLE: '1' },
    });
    expect(spoken.stdout).not.toMatch(/━|===/);
    const ascii = await runTvdb(['trace', job.job_id], {
      home: seeded.home,
      tty: true,
      cols: 100,
      env: { TVDB_ASCII: '1' },
    });
    expect(ascii.stdout).toContain('=');
    expect(ascii.stdout).not.toMatch(/[^\x00-\x7f]/);
  });
});

describe('tries', () => {
  it('are rows of their own, with the wait between them and the reason', async () => {
    const { home, job } = await homeWith(RETRIED, { status: 'complete' });
    const { json } = await runTvdb(['trace', job.job_id, '--json'], { home });
    const embed = json.data.spans.filter((span: { stage: string }) => span.stage === 'embed');
    expect(embed).toMatchObject([
      { attempt: 1, status: 'retry', start_ms: 22_800, ms: 300, retry_after_ms: 2_000 },
      { attempt: 2, status: 'ok', start_ms: 25_100, ms: 500, retry_after_ms: null },
    ]);
    expect(json.data.spans.find((span: { stage: string }) => span.stage === 'parse')).toMatchObject({
      start_ms: 300,
      ms: 22_400,
    });
    const { stdout } = await runTvdb(['trace', job.job_id], { home });
    expect(stdout).toContain(NOTE);
    expect(stdout).toContain('taken up again');
  });

  it('of a job that failed end with what to do', async () => {
    const error = {
      code: 'TVDB-E404',
      category: 'data',
      message: 'The PDF needs a password',
      why: null,
      fix: 'Decrypt it first.',
      retryable: false,
    };
    const failed: Told[] = [
      {
        at: 500,
        code: 'FAILED',
        severity: 'error',
        stage: 'parse',
        from: 'uploaded',
        to: 'failed_parse',
        durationMs: 400,
        data: { error },
      },
    ];
    const { home, job } = await homeWith([...RETRIED.slice(0, 1), ...failed], {
      status: 'failed_parse',
      last_error: JSON.stringify(error),
    });
    const { stdout, stderr, code } = await runTvdb(['trace', job.job_id], { home, tty: true, cols: 100 });
    expect(code).toBe(0);
    const text = stripVTControlCharacters(stdout);
    expect(text).toMatch(/parse\s+fail\s+0.4s\s+1\/5\s+TVDB-E404 The PDF needs a password/);
    expect(text).toContain('fix       Decrypt it first.');
    expect(stripVTControlCharacters(stderr)).toContain(`next   tvdb retry ${job.job_id.slice(0, 8)}`);
  });

  it('of a worker that died are lost, and the takeover is told', () => {
    const event = (seq: number, at: number, changes: Partial<JobEventRow>): JobEventRow => ({
      seq,
      event_id: String(seq),
      job_id: 'j',
      document_id: 'd',
      correlation_id: 'c',
      run_id: 'r',
      at,
      type: 'x',
      severity: 'info',
      code: 'PARSE_INTENT',
      from_status: 'uploaded',
      to_status: 'parse_queued',
      stage: 'parse',
      attempt_id: null,
      duration_ms: 10,
      data: '{}',
      ...changes,
    });
    const reclaimed = {
      code: 'LEASE_RECLAIMED',
      stage: null,
      duration_ms: null,
      from_status: 'parse_queued',
      to_status: 'parse_queued',
    } as const;
    const job = { status: 'complete', created_at: 0, lease_owner: null, lease_until: null } as JobRow;
    const told = timeline(
      job,
      [
        event(1, 10, {}),
        event(2, 500, reclaimed),
        event(3, 900, { code: 'PARSE_STORED', from_status: 'parse_queued', duration_ms: 300 }),
      ],
      [],
      1_000,
    );
    expect(told.spans.map(({ status, attempt, startMs, ms }) => [status, attempt, startMs, ms])).toEqual([
      ['lost', 1, 0, 500],
      ['ok', 2, 600, 300],
    ]);
    expect(told.notes.map(({ atMs, event: { code } }) => [atMs, code])).toEqual([[500, 'LEASE_RECLAIMED']]);
  });

  it('carry the requests they sent', async () => {
    const { home, job } = await homeWith(RETRIED, { status: 'complete' });
    await storeAt(home, (store) =>
      store.write(async (trx) => {
        for (const [index, at] of [22_900, 25_200].entries()) {
          await insertIntent(trx, {
            attemptId: `att${index}`,
            jobId: job.job_id,
            service: 'embed',
            operation: 'embed',
            requestHash: 'h',
            units: 10,
            origin: 'real',
            now: START + at,
          });
          await markSent(trx, `att${index}`, START + at);
          await updateAttempt(trx, `att${index}`, {
            http_status: index === 0 ? 429 : 200,
            upstream_request_id: `req_${index}`,
          });
        }
      }),
    );
    const { json } = await runTvdb(['trace', job.job_id, '--json', '--stage', 'embed'], { home });
    expect(json.data.spans).toMatchObject([
      { http_status: 429, upstream_id: 'req_0', mode: 'real', requests: 1, nano_usd: null },
      { http_status: 200, upstream_id: 'req_1', requests: 1 },
    ]);
    // No price is known for real work, and unknown is not zero.
    expect(json.data.cost).toEqual({ total_nano_usd: null, total_usd: null });
  });
});

describe('unknown ids', () => {
  it('are exit 2, also on an empty store, in the same envelope', async () => {
    const { code, json } = await runTvdb(['trace', 'abcdef12', '--json']);
    expect(code).toBe(2);
    expect(json).toMatchObject({ schema: 'tvdb.trace/v1', ok: false, exit_code: 2, error: { code: 'TVDB-E006' } });
  });
});

describe('--follow', () => {
  it('prints each step when it is settled and ends with the outcome of the job', async () => {
    const { home, job } = await homeWith(RETRIED.slice(0, 3), { status: 'parse_validated' });
    const clock = virtualClock(START + 22_750);
    let seen = '';
    const running = runTvdb(['trace', job.job_id, '--follow'], {
      home,
      clock,
      onOutput: (stream, text) => {
        if (stream === 'stdout') seen += text;
      },
    });
    await livesThrough(clock, 4, 500);
    expect(
      seen
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[2]),
    ).toEqual(['upload', 'parse']);
    await storeAt(home, async (store) => {
      await tell(store, job, [
        {
          at: 26_000,
          code: 'FAILED',
          stage: 'chunk',
          from: 'parse_validated',
          to: 'failed_chunking',
          durationMs: 100,
          data: { error: { code: 'TVDB-E416', message: 'no chunks' } },
        },
      ]);
      await store.db.updateTable('upload_jobs').set({ status: 'failed_chunking' }).execute();
    });
    await livesThrough(clock, 1, 500);
    const { code, stdout, stderr } = await running;
    expect(code).toBe(1);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t').slice(2, 4)),
    ).toEqual([
      ['upload', 'ok'],
      ['parse', 'ok'],
      ['chunk', 'fail'],
    ]);
    expect(stderr).toContain('tvdb run');
  });

  it('Ctrl-C ends it with 130', async () => {
    const { home, job } = await homeWith(RETRIED.slice(0, 1));
    const clock = virtualClock(START);
    const signals = new EventEmitter();
    const running = runTvdb(['trace', job.job_id, '-f'], { home, clock, signals });
    await livesThrough(clock, 3, 500);
    signals.emit('SIGINT', 'SIGINT');
    expect((await running).code).toBe(130);
  });

  it('tells steps as events with --ndjson', async () => {
    const { home, job } = await homeWith(RETRIED, { status: 'complete' });
    const { stdout, code } = await runTvdb(['trace', job.job_id, '-f', '--ndjson'], { home });
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => [line.type, line.stage ?? null])).toEqual([
      ['hello', null],
      ['stage', 'upload'],
      ['stage', 'parse'],
      ['stage', 'chunk'],
      ['stage', 'embed'],
      ['stage', 'embed'],
      ['stage', 'store'],
      ['result', null],
    ]);
    expect(lines.at(-1).data.correlation_id).toBe(job.correlation_id);
  });
});

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore, type Store } from '../../src/store/open.ts';
import { runTvdb } from '../setup/run-tvdb.ts';

const LETTER = join(process.cwd(), 'fixtures/documents/letter.pdf');
const POLICY = join(process.cwd(), 'fixtures/documents/unicode.pdf');
/** The mock parser refuses everything, and the job gives up at once. */
const BROKEN = { MOCK_PARSE_FAILURE_RATE: '1', MAX_RETRIES: '0' };

async function failed(...paths: string[]) {
  const { home, json } = await runTvdb(['upload', ...paths, '--json'], { env: BROKEN });
  const documents = json.data.documents as { job_id: string; document_id: string; status: string }[];
  expect(documents.map(({ status }) => status)).toEqual(paths.map(() => 'failed'));
  return {
    home,
    run: json.data.run_id as string,
    jobs: documents.map(({ job_id: id }) => id),
    documents: documents.map(({ document_id: id }) => id),
  };
}

async function onStore<T>(home: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore({ home: join(home, 'data', 'tvdb') });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

describe('tvdb retry', () => {
  it('takes a failed job up and follows it to its end, under a run of its own', async () => {
    const { home, jobs, run } = await failed(LETTER);
    const { code, json } = await runTvdb(['retry', jobs[0]?.slice(0, 8) ?? '', '--json'], { home });
    expect([code, json.schema]).toEqual([0, 'tvdb.retry/v1']);
    expect(json.data.jobs).toMatchObject([
      {
        job_id: jobs[0],
        outcome: 'retried',
        from_status: 'failed_parse',
        to_status: 'uploaded',
        status: 'complete',
        error: null,
      },
    ]);
    expect(json.data.totals).toEqual({ jobs: 1, taken_up: 1, failed: 0, pending: 0 });
    const runs = await onStore(home, ({ db }) => db.selectFrom('runs').selectAll().orderBy('started_at').execute());
    expect(runs).toMatchObject([
      { run_id: run, command: 'upload' },
      { run_id: json.data.run_id, command: 'retry', exit_code: 0 },
    ]);
  });

  it('takes up all failed jobs of a run, and says which failed again (exit 1)', async () => {
    const { home, run } = await failed(LETTER, POLICY);
    const { code, json, stderr } = await runTvdb(['retry', run, '--json'], { home, env: BROKEN });
    expect(code).toBe(1);
    expect(json.data.totals).toMatchObject({ jobs: 2, taken_up: 2, failed: 2 });
    expect(json.data.jobs[0]).toMatchObject({ status: 'failed_parse', error_code: 'TVDB-E306' });
    expect(json.error.code).toBe('TVDB-E401');
    expect(stderr).toContain('tvdb trace');
  });

  it('only puts them into the queue with --no-wait', async () => {
    const { home, jobs } = await failed(LETTER);
    const piped = await runTvdb(['retry', jobs[0] ?? '', '--no-wait'], { home });
    expect(piped.stdout).toBe(`${jobs[0]}\tretried\tuploaded\tletter.pdf\n`);
    expect(piped.stderr).toContain('tvdb run');
    expect([piped.code, (await runTvdb(['retry', jobs[0] ?? '', '-q'], { home })).stdout]).toEqual([0, '']);
  });

  it('says when there is nothing to retry (exit 0)', async () => {
    const { home, json } = await runTvdb(['upload', LETTER, '--json']);
    const document = json.data.documents[0].document_id as string;
    const nothing = await runTvdb(['retry', '--failed', '--json'], { home });
    expect([nothing.code, nothing.json.data]).toEqual([
      0,
      {
        run_id: null,
        estimate: { likely_nano_usd: 0, max_nano_usd: 0 },
        consent: { by: 'not_needed', limit_nano_usd: 0 },
        budget: null,
        jobs: [],
        totals: { jobs: 0, taken_up: 0, failed: 0, pending: 0 },
      },
    ]);
    const page = await runTvdb(['retry', document], { home, tty: true, env: { NO_COLOR: '1' } });
    expect(page.code).toBe(0);
    expect(page.stdout).toContain('Nothing to retry');
    expect((await runTvdb(['retry', document, '--json'], { home })).json.data.jobs).toMatchObject([
      { outcome: 'already_complete' },
    ]);
  });

  it('refuses a job that was named itself and is complete (E010, exit 2)', async () => {
    const { home, json } = await runTvdb(['upload', LETTER, '--json']);
    const { code, json: answer } = await runTvdb(['retry', json.data.documents[0].job_id, '--json'], { home });
    expect([code, answer.error.code]).toEqual([2, 'TVDB-E010']);
    expect(answer.data.jobs).toMatchObject([{ outcome: 'refused', status: 'complete' }]);
  });

  it('names the live job that does the same work (E010)', async () => {
    const { home, jobs } = await failed(LETTER);
    const again = await runTvdb(['upload', LETTER, '--no-wait', '--json'], { home });
    const live = again.json.data.documents[0].job_id as string;
    expect(live).not.toBe(jobs[0]);
    const { code, json } = await runTvdb(['retry', jobs[0] ?? '', '--json'], { home });
    expect([code, json.error.code]).toEqual([2, 'TVDB-E010']);
    expect(json.error.message).toContain(live.slice(0, 8));
  });

  it('leaves a job failed with E417 when its bytes are gone (exit 1)', async () => {
    const { home, jobs } = await failed(LETTER);
    rmSync(join(home, 'data/tvdb/storage/raw'), { recursive: true });
    const { code, json } = await runTvdb(['retry', jobs[0] ?? '', '--json'], { home });
    expect([code, json.error.code, json.data.jobs[0].status]).toEqual([1, 'TVDB-E417', 'failed_parse']);
  });

  it('does what it can and exits 7 when some are refused', async () => {
    const { home, jobs, documents, run } = await failed(LETTER, POLICY);
    const user = await onStore(home, ({ db }) =>
      db.selectFrom('documents').select('user_id').executeTakeFirstOrThrow(),
    );
    rmSync(join(home, 'data/tvdb/storage/raw', user.user_id, `${documents[1]}.pdf`));
    const { code, json } = await runTvdb(['retry', run, '--json'], { home });
    expect(code).toBe(7);
    expect(
      Object.fromEntries(json.data.jobs.map((job: { job_id: string; status: string }) => [job.job_id, job.status])),
    ).toEqual({
      [jobs[0] ?? '']: 'complete',
      [jobs[1] ?? '']: 'failed_parse',
    });
  });

  it('wakes a job that is held until the user acts', async () => {
    const { home, json } = await runTvdb(['upload', LETTER, '--no-wait', '--json']);
    const job = json.data.documents[0].job_id as string;
    await onStore(home, (store) =>
      store.write((trx) =>
        trx.updateTable('upload_jobs').set({ park_reason: 'held_by_user', run_after: null }).execute(),
      ),
    );
    const { code, json: answer } = await runTvdb(['retry', job, '--json'], { home });
    expect([code, answer.data.jobs]).toMatchObject([0, [{ outcome: 'woken', status: 'complete' }]]);
  });

  it('asks before it retries every failed job; scripts need --yes (E011)', async () => {
    const { home } = await failed(LETTER);
    const unasked = await runTvdb(['retry', '--failed'], { home });
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain('--yes');
    const { code, json } = await runTvdb(['retry', '--failed', '--yes', '--json'], { home });
    expect([code, json.data.jobs]).toMatchObject([0, [{ outcome: 'retried', status: 'complete' }]]);
  });

  it('needs to know what (E002), and knows nothing of strange ids (E006)', async () => {
    expect((await runTvdb(['retry', '--json'])).json.error.code).toBe('TVDB-E002');
    const unknown = await runTvdb(['retry', '12345678', '--json']);
    expect([unknown.code, unknown.json.error.code]).toEqual([2, 'TVDB-E006']);
  });
});

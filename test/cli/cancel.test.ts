import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runTvdb } from '../setup/run-tvdb.ts';

const LETTER = join(process.cwd(), 'fixtures/documents/letter.pdf');
const UNICODE = join(process.cwd(), 'fixtures/documents/unicode.pdf');

async function queued(...paths: string[]) {
  const { home, json } = await runTvdb(['upload', ...paths, '--no-wait', '--json']);
  const documents = json.data.documents as { job_id: string; document_id: string }[];
  return {
    home,
    run: json.data.run_id as string,
    jobs: documents.map(({ job_id: id }) => id),
    documents: documents.map(({ document_id: id }) => id),
  };
}

describe('tvdb cancel', () => {
  it('stops a job, and says so the second time without changing anything', async () => {
    const { home, jobs } = await queued(LETTER);
    const first = await runTvdb(['cancel', jobs[0]?.slice(0, 8) ?? '', '--json'], { home });
    expect([first.code, first.json.schema]).toEqual([0, 'tvdb.cancel/v1']);
    expect(first.json.data).toMatchObject({
      jobs: [
        {
          job_id: jobs[0],
          outcome: 'cancelled',
          from_status: 'uploaded',
          status: 'cancelled',
          filename: 'letter.pdf',
          was_running: false,
        },
      ],
      totals: { jobs: 1, cancelled: 1, unchanged: 0 },
    });
    const second = await runTvdb(['cancel', jobs[0] ?? '', '--json'], { home });
    expect([second.code, second.json.data.jobs[0].outcome]).toEqual([0, 'already_cancelled']);
    expect((await runTvdb(['run', '--json'], { home })).json.data.processed ?? 0).toBe(0);
  });

  it('takes runs and documents, and is tab-separated in a pipe', async () => {
    const { home, run, jobs, documents } = await queued(LETTER, UNICODE);
    const one = await runTvdb(['cancel', documents[0] ?? ''], { home });
    expect(one.stdout).toBe(`${jobs[0]}\tcancelled\tcancelled\tletter.pdf\n`);
    const all = await runTvdb(['cancel', run, '-q'], { home });
    expect(all.stdout).toBe(`${jobs[1]}\n`);
  });

  it('leaves complete jobs alone', async () => {
    const { home, json } = await runTvdb(['upload', LETTER, '--json']);
    const { code, json: answer } = await runTvdb(['cancel', json.data.run_id, '--json'], { home });
    expect([code, answer.data.jobs]).toMatchObject([0, [{ outcome: 'already_complete', status: 'complete' }]]);
    const page = await runTvdb(['cancel', json.data.run_id], { home, tty: true, cols: 60, env: { NO_COLOR: '1' } });
    expect(page.stdout).toContain('Nothing to cancel');
    expect(page.stdout).toContain('already complete');
  });

  it('asks before --all; scripts need --yes (E011)', async () => {
    const { home } = await queued(LETTER, UNICODE);
    const unasked = await runTvdb(['cancel', '--all', '--json'], { home });
    expect([unasked.code, unasked.json.error.code]).toEqual([2, 'TVDB-E011']);
    const { code, json } = await runTvdb(['cancel', '--all', '--yes', '--json'], { home });
    expect([code, json.data.totals]).toEqual([0, { jobs: 2, cancelled: 2, unchanged: 0 }]);
    const empty = await runTvdb(['cancel', '--all', '--json'], { home });
    expect([empty.code, empty.json.data]).toEqual([0, { jobs: [], totals: { jobs: 0, cancelled: 0, unchanged: 0 } }]);
  });

  it('needs either ids or --all (E002, E009), and known ones (E006)', async () => {
    expect((await runTvdb(['cancel', '--json'])).json.error.code).toBe('TVDB-E002');
    expect((await runTvdb(['cancel', '12345678', '--all', '--json'])).json.error.code).toBe('TVDB-E009');
    expect((await runTvdb(['cancel', '12345678', '--json'])).json.error.code).toBe('TVDB-E006');
  });
});

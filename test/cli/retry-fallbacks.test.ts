/** `retry --fallbacks`: redoes for real exactly what a mock stood in for, against the simulator. */
import { describe, expect, it } from 'vitest';
import { paidPlace } from './paid-place.ts';
import { letter, unicode } from './workplace.ts';

const ONE_TRY = { MAX_RETRIES: '0' };

/** Documents whose vectors are a mock's, with the simulator well again and its log empty. */
async function fallen(files: Record<string, string> = { 'letter.pdf': letter }) {
  const place = await paidPlace({ faults: 'embeddings=rate:retry-after=0*', files });
  const env = { ...place.env, ...ONE_TRY };
  const { data } = await place.json(['upload', ...Object.keys(files), '-m', 'hybrid'], { env });
  const jobs = data.documents.map(({ job_id: id }: { job_id: string }) => id) as string[];
  place.simulator.control.reset();
  return { ...place, env, jobs, run: data.run_id as string };
}

describe('tvdb retry --fallbacks', () => {
  it('makes real vectors of a real parse: no create, one embedding request, and the document is found in the real space', async () => {
    const { json, env, jobs, sent } = await fallen();
    const answer = await json(['retry', '--fallbacks', jobs[0] ?? ''], { env });
    expect(answer).toMatchObject({ exit_code: 0, data: { totals: { jobs: 1, taken_up: 1, failed: 0, pending: 0 } } });
    expect(answer.data.jobs).toMatchObject([
      { outcome: 'redone', upgrades_job: jobs[0], redo: ['embed'], status: 'complete', fallback: false, error: null },
    ]);
    expect([sent('files.create').length, sent('parse.create').length, sent('embeddings').length]).toEqual([0, 0, 1]);
    const found = await json(['search', 'roof', '-m', 'real'], { env });
    expect(found.data.results[0]).toMatchObject({ parse_origin: 'real', embed_origin: 'real', fallback: false });
    expect(found.data.excluded).toEqual([]);
    const trace = await json(['trace', answer.data.jobs[0].job_id], { env });
    expect(trace.data.upgrades_job).toBe(jobs[0]);
  });

  it('does it once: a second time there is nothing to redo', async () => {
    const { json, tvdb, env, jobs, sent } = await fallen();
    await json(['retry', '--fallbacks', jobs[0] ?? ''], { env });
    const again = await json(['retry', '--fallbacks', jobs[0] ?? ''], { env });
    expect(again.exit_code).toBe(0);
    expect(again.data.jobs).toMatchObject([{ job_id: jobs[0], outcome: 'already_redone' }]);
    expect((await json(['retry', '--fallbacks', '--yes'], { env })).data.jobs).toEqual([]);
    const page = await tvdb(['retry', '--fallbacks', '--yes'], { env: { ...env, NO_COLOR: '1' }, tty: 'stdout' });
    expect(page.stdout).toContain('Nothing to redo');
    expect(sent('embeddings')).toHaveLength(1);
  });

  it('takes every document that fell back, after asking; scripts need --yes (E011)', async () => {
    const { json, tvdb, env, jobs, sent } = await fallen({ 'a.pdf': letter, 'b.pdf': unicode });
    const unasked = await tvdb(['retry', '--fallbacks'], { env });
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain('--yes');
    expect(unasked.stderr).toMatch(/a\.pdf\s+embed only, the parse is real/);
    expect(sent('embeddings')).toEqual([]);
    const answer = await json(['retry', '--fallbacks', '--yes'], { env });
    expect(answer.exit_code).toBe(0);
    expect(answer.data.jobs.map(({ upgrades_job: id }: { upgrades_job: string }) => id).sort()).toEqual(
      [...jobs].sort(),
    );
    expect(sent('parse.create')).toEqual([]);
  });

  it('redoes parse and embedding of a document that a mock parsed', async () => {
    const { json, env, sent } = await paidPlace();
    const { data } = await json(['upload', 'letter.pdf', '-m', 'hybrid']);
    const answer = await json(['retry', '--fallbacks', data.run_id], { env });
    expect(answer.data.jobs).toMatchObject([{ redo: ['parse', 'embed'], status: 'complete', fallback: false }]);
    expect([sent('parse.create').length, sent('embeddings').length]).toEqual([1, 1]);
  });

  it('refuses what would fall back again, says why, and makes no job (exit 9)', async () => {
    const { json, tvdb, rows } = await paidPlace();
    const { data } = await json(['upload', 'letter.pdf', '-m', 'hybrid']);
    const id = data.documents[0].job_id;
    const answer = await json(['retry', '--fallbacks', id]);
    expect([answer.exit_code, answer.error.code]).toEqual([9, 'TVDB-E305']);
    expect(answer.data.jobs).toMatchObject([{ job_id: id, outcome: 'refused', redo: ['parse', 'embed'] }]);
    expect((await tvdb(['retry', '--fallbacks', id])).stderr).toMatch(/key missing/);
    expect(await rows('upload_jobs')).toHaveLength(1);
  });

  it('says when a mock had to stand in once more (exit 9), and can be asked again', async () => {
    const { json, env, jobs, simulator } = await fallen();
    simulator.control.faults('embeddings=rate:retry-after=0*');
    const answer = await json(['retry', '--fallbacks', jobs[0] ?? ''], { env });
    expect([answer.exit_code, answer.data.jobs[0].error_code]).toEqual([9, 'TVDB-E305']);
    expect(answer.data.jobs[0]).toMatchObject({ status: 'complete', fallback: true });
    simulator.control.reset();
    const again = await json(['retry', '--fallbacks', '--yes'], { env });
    expect(again.data.jobs).toMatchObject([{ upgrades_job: answer.data.jobs[0].job_id, fallback: false }]);
  });

  it('leaves alone what did not fall back, is not complete, or was replaced', async () => {
    const { json, env, jobs, put } = await withMore();
    const plain = await json(['upload', 'plain.pdf', '-m', 'mock'], { env });
    const id = plain.data.documents[0].job_id;
    expect((await json(['retry', '--fallbacks', id], { env })).data.jobs).toMatchObject([
      { outcome: 'not_fallen_back' },
    ]);
    const queued = await json(['upload', 'plain.pdf', '--force', '--no-wait', '-m', 'mock'], { env });
    const waiting = queued.data.documents[0].job_id;
    expect((await json(['retry', '--fallbacks', waiting], { env })).data.jobs).toMatchObject([
      { outcome: 'not_complete' },
    ]);
    put();
    await json(['upload', 'letter.pdf', '-m', 'mock'], { env });
    expect((await json(['retry', '--fallbacks', jobs[0] ?? ''], { env })).data.jobs).toMatchObject([
      { outcome: 'replaced' },
    ]);
    expect((await json(['retry', '--fallbacks', '--yes'], { env })).data.jobs).toEqual([]);
  });

  it('is not to be mixed with --failed (E009), and knows nothing of strange ids (E006)', async () => {
    const { json } = await paidPlace();
    expect((await json(['retry', '--fallbacks', '--failed'])).error.code).toBe('TVDB-E009');
    expect((await json(['retry', '--fallbacks', '12345678'])).error.code).toBe('TVDB-E006');
  });
});

async function withMore() {
  const { copyFileSync } = await import('node:fs');
  const { join } = await import('node:path');
  const place = await fallen();
  copyFileSync(unicode, join(place.cwd, 'plain.pdf'));
  const newsletter = join(process.cwd(), 'fixtures/documents/multicolumn-newsletter.pdf');
  return { ...place, put: () => copyFileSync(newsletter, join(place.cwd, 'letter.pdf')) };
}

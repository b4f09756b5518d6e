/** `upload`, `run`, `trace` and `status` over the paid services, against the simulator. */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { paidPlace } from './paid-place.ts';
import { letter, unicode } from './workplace.ts';

const HYBRID = ['upload', 'letter.pdf', '-m', 'hybrid'];
/** One try, so that a service that refuses is given up at once. */
const ONE_TRY = { MAX_RETRIES: '0' };

describe('a real upload', () => {
  it('completes by polling: one create, one embedding request, their ids in the trace', async () => {
    const { json, env, sent } = await paidPlace();
    const answer = await json(['upload', 'letter.pdf', '-m', 'real', '--results', 'poll'], { env });
    expect(answer).toMatchObject({ ok: true, exit_code: 0, data: { degraded: false } });
    expect(answer.data.documents[0]).toMatchObject({ status: 'complete', origin: { parse: 'real', embed: 'real' } });
    expect([sent('parse.create').length, sent('embeddings').length]).toEqual([1, 1]);
    const trace = await json(['trace', answer.data.documents[0].job_id], { env });
    const [parse, embed] = trace.data.attempts;
    expect(parse).toMatchObject({ service: 'parse', origin: 'real', outcome: 'ok', units: 1, shared_with: [] });
    expect(parse.remote_id).toBe(sent('parse.create')[0]?.made[0]);
    expect(embed).toMatchObject({ service: 'embed', outcome: 'ok', request_id: sent('embeddings')[0]?.requestId });
    // Looks at a remote parse are no tries.
    const spans = trace.data.spans as { stage: string; attempt: number }[];
    expect(spans.filter(({ stage }) => stage === 'parse')).toMatchObject([{ attempt: 1 }]);
    const status = await json(['status', answer.data.run_id], { env });
    expect(status.data.jobs[0]).toMatchObject({
      requests: 2,
      remote_id: parse.remote_id,
      request_id: embed.request_id,
    });
    // The id that the service gave leads back to the job.
    const found = await json(['trace', embed.request_id], { env });
    expect(found.data.job_id).toBe(answer.data.documents[0].job_id);
  });

  it('completes by webhook, and the trace says that one came', async () => {
    const { json, env, simulator } = await paidPlace({ files: { 'letter.pdf': letter } });
    const slow = { ...env, POLL_FIRST: '30s', POLL_CAP: '30s' };
    const answer = await json(['upload', 'letter.pdf', '-m', 'real', '--results', 'webhook'], { env: slow });
    expect(answer.data.documents[0].status).toBe('complete');
    expect(simulator.control.deliveries()).toMatchObject([{ event: 'parse.success', status: 200 }]);
    const trace = await json(['trace', answer.data.documents[0].job_id], { env });
    expect(trace.data.events.map(({ code }: { code: string }) => code)).toContain('WEBHOOK_RECEIVED');
  });

  it('says in its plan what is real and which tier is used, and what is a mock and why', async () => {
    const { tvdb, env } = await paidPlace();
    const real = await tvdb(['upload', 'letter.pdf', '-m', 'real', '--tier', 'fast', '--dry-run'], { env });
    expect(real.stderr).toMatch(/route {2}parse=real tier=fast embed=real/);
    const halves = await tvdb(
      ['upload', 'letter.pdf', '-m', 'real', '--service', 'openai=mock', '--dry-run', '--progress', 'none'],
      {
        env: { ...env, NO_COLOR: '1' },
        tty: true,
      },
    );
    expect(halves.stderr).toMatch(/parse\s+real\s+LlamaParse cost_effective/);
    expect(halves.stderr).toMatch(/embed\s+mock/);
    const { OPENAI_API_KEY: _none, ...without } = env;
    const fallen = await tvdb([...HYBRID, '--dry-run'], { env: without });
    expect(fallen.stderr).toMatch(/embed=MOCK\(key_missing\)/);
  });

  it('a refused key ends with exit 4, an empty account with exit 5, and both say what was charged', async () => {
    const keys = await paidPlace();
    const refused = await keys.json(['upload', 'letter.pdf', '-m', 'real'], {
      env: { ...keys.env, LLAMAPARSE_API_KEY: 'not-a-key-of-this-service' },
    });
    expect([refused.exit_code, refused.error.code]).toEqual([4, 'TVDB-E112']);
    const money = await paidPlace({ faults: 'embeddings=quota*' });
    const empty = await money.tvdb(['upload', 'letter.pdf', '-m', 'real'], { env: money.env });
    expect(empty.code).toBe(5);
    expect(empty.stderr).toContain('TVDB-E302');
    // The parse was made and is kept.
    expect(empty.stderr).toMatch(/cost\s+\$0\.00\d+ was spent and kept/);
  });

  it('a parse request whose outcome is not known parks the job: exit 8, and how to go on', async () => {
    const { tvdb, env, sent } = await paidPlace({ faults: 'parse.create=cut,job=hidden' });
    const env8 = { ...env, DRAIN_WAIT: '1ms' };
    const cut = await tvdb(['upload', 'letter.pdf', '-m', 'real'], { env: env8 });
    expect(cut.code).toBe(8);
    expect(cut.stderr).toContain('next   tvdb run');
    expect(cut.stderr).toMatch(/not known whether/);
    expect(sent('parse.create')).toHaveLength(1);
  });

  it('needs a public address for webhooks that come from elsewhere (E602, exit 4), before anything is accepted', async () => {
    const { json, rows, env } = await paidPlace();
    const away = { ...env, LLAMA_CLOUD_BASE_URL: 'https://llama.invalid' };
    const answer = await json(['upload', 'letter.pdf', '-m', 'real', '--results', 'webhook'], { env: away });
    expect([answer.exit_code, answer.error.code]).toEqual([4, 'TVDB-E602']);
    expect(await rows('upload_jobs')).toEqual([]);
  });
});

describe('a fallback in the middle', () => {
  it('is labelled in JSON, in the trace, in the status and on every hit', async () => {
    const { json, tvdb, env, sent } = await paidPlace({ faults: 'embeddings=rate:retry-after=0*' });
    const all = { env: { ...env, ...ONE_TRY } };
    const answer = await json(HYBRID, all);
    expect(answer).toMatchObject({ exit_code: 0, data: { degraded: true } });
    const [document] = answer.data.documents;
    expect(document).toMatchObject({ fallback: true, origin: { parse: 'real', embed: 'mock' } });
    expect(answer.warnings).toMatchObject([{ code: 'TVDB-W302' }]);
    expect(answer.warnings[0].message).toContain(`tvdb retry --fallbacks ${document.job_id.slice(0, 8)}`);
    expect([sent('parse.create').length, sent('embeddings').length]).toEqual([1, 1]);
    const trace = await json(['trace', document.job_id], all);
    expect(trace.data.services.openai).toMatchObject({ use: 'mock', fallback: true, why: 'rate_limited' });
    expect(trace.data.events).toContainEqual(
      expect.objectContaining({ code: 'FALLBACK', to: 'mock', reason: 'rate_limited' }),
    );
    const screen = { env: { ...all.env, NO_COLOR: '1' }, tty: true };
    const page = await tvdb(['trace', document.job_id], screen);
    expect(page.stdout).toMatch(/embed used MOCK: the service is limiting requests/);
    expect((await tvdb(['status'], screen)).stdout).toContain('embed used MOCK');
    const found = await json(['search', 'roof', '-m', 'hybrid'], all);
    expect(found.data.results[0]).toMatchObject({ parse_origin: 'real', embed_origin: 'mock', fallback: true });
    expect(found.warnings[0]).toMatchObject({ code: 'TVDB-W302' });
    const hits = await tvdb(['search', 'roof', '-m', 'mock'], screen);
    expect(hits.stdout).toContain('real parse, MOCK vector (fallback)');
  });

  it('exits 9 with --on-fallback fail, with the reason and the command that redoes it', async () => {
    const { tvdb, env } = await paidPlace({ faults: 'embeddings=rate:retry-after=0*' });
    const { code, stderr } = await tvdb([...HYBRID, '--on-fallback', 'fail'], { env: { ...env, ...ONE_TRY } });
    expect(code).toBe(9);
    expect(stderr).toContain('TVDB-E305');
    expect(stderr).toMatch(/for openai/);
    expect(stderr).toContain('tvdb retry --fallbacks');
    expect(stderr).not.toContain('Nothing was charged');
  });

  it('ends with the command that redoes it on a terminal', async () => {
    const { tvdb, env } = await paidPlace({ faults: 'embeddings=rate:retry-after=0*' });
    const { stdout } = await tvdb([...HYBRID, '--progress', 'none'], {
      env: { ...env, ...ONE_TRY, NO_COLOR: '1' },
      tty: true,
    });
    expect(stdout).toContain('DEGRADED');
    expect(stdout).toMatch(/redo for real: tvdb retry --fallbacks [0-9a-f]{8}/);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});

describe('keys', () => {
  it('hybrid without any completes on mocks, labelled, exit 0; with --on-fallback fail exit 9', async () => {
    const { json, simulator } = await paidPlace();
    const mild = await json(HYBRID);
    expect(mild).toMatchObject({ exit_code: 0, data: { degraded: true } });
    expect(mild.data.documents[0]).toMatchObject({ fallback: true, origin: { parse: 'mock', embed: 'mock' } });
    const strict = await json([...HYBRID, '--on-fallback', 'fail']);
    expect([strict.exit_code, strict.error.code]).toEqual([9, 'TVDB-E305']);
    expect(simulator.log()).toEqual([]);
  });

  it('real without any is exit 4 before anything is touched', async () => {
    const { json, rows } = await paidPlace();
    const answer = await json(['upload', 'letter.pdf', '-m', 'real']);
    expect([answer.exit_code, answer.error.code]).toEqual([4, 'TVDB-E101']);
    expect(await rows('upload_jobs')).toEqual([]);
  });
});

describe('requests of several documents', () => {
  it('are shown as shared by each of them', async () => {
    const { json, env, sent, home } = await paidPlace({ files: { 'a.pdf': letter, 'b.pdf': unicode } });
    const answer = await json(['upload', 'a.pdf', 'b.pdf', '-m', 'real'], { env: { ...env, EMBED_LINGER: '5s' } });
    expect(answer.exit_code).toBe(0);
    expect(sent('embeddings')).toHaveLength(1);
    const [a, b] = answer.data.documents.map(({ job_id: id }: { job_id: string }) => id);
    const trace = await json(['trace', a], { env });
    const embed = trace.data.attempts.find(({ service }: { service: string }) => service === 'embed');
    expect(embed.shared_with).toEqual([b]);
    const store = openStore({ home: join(home, 'data/tvdb') });
    const all = await store.db.selectFrom('attempts').select('units').where('service', '=', 'embed').execute();
    await store.close();
    expect(embed.units).toBeLessThan(all[0]?.units ?? 0);
  });
});

/** Which service a job really uses: decided at its upload, asked anew at each use, fallen back, changed, upgraded. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TvdbError } from '../../src/base/errors.ts';
import type { ServiceName, ServiceState } from '../../src/domain/service-mode.ts';
import { changeMode } from '../../src/pipeline/change-mode.ts';
import { retryJob } from '../../src/pipeline/retry.ts';
import { decisionOf, routeOf } from '../../src/pipeline/route.ts';
import { upgradeFallback } from '../../src/pipeline/upgrade-fallbacks.ts';
import { SPACE } from './harness.ts';
import {
  attemptsOf,
  codesOf,
  expectSound,
  finish,
  noAnswer,
  PAID_SPACE,
  type PaidLine,
  paidLine,
  problem,
  rateLimited,
  settle,
  until,
} from './paid-services.ts';

const quiet = () => {};
const CLOSED: ServiceState = { open: false, why: 'ok', retryAt: null };
const BROKEN: ServiceState = { open: true, why: 'breaker_open', retryAt: null };

/** The spaces of the vectors of a store, each with the origins of its rows. */
async function spacesOf({ store }: PaidLine) {
  return store.db
    .selectFrom('vectors as v')
    .innerJoin('embedding_spaces as s', 's.space_id', 'v.space_id')
    .select(['s.name', 'v.origin'])
    .distinct()
    .execute();
}

describe('the route at the moment of use', () => {
  it.each([
    ['a stand-in that was decided stays, though the service is back', 'hybrid', BROKEN, CLOSED, 'mock'],
    ['a real service is asked anew, and not used while it is down', 'hybrid', CLOSED, BROKEN, 'mock'],
    ['a real service that is down is waited for in real', 'real', CLOSED, BROKEN, 'real'],
  ] as const)('%s', async (_what, mode, atUpload, atUse, use) => {
    let state: ServiceState = atUpload;
    const line = paidLine({ stateOf: async () => state });
    const { job } = await line.upload('one', { mode });
    state = atUse;
    expect(await routeOf('llamaparse', job, line.deps)).toMatchObject({ use });
  });

  it('without a key the job rests, and goes on in a process that has one', async () => {
    const line = paidLine();
    await line.upload('one', { mode: 'real' });
    const keyless = paidLine({
      home: line.home,
      clock: line.clock,
      seed: 2,
      keys: { llamaparse: undefined },
      settings: { DRAIN_WAIT: 0 },
    });
    await finish(keyless);
    expect(await line.jobs()).toMatchObject([
      { status: 'uploaded', park_reason: 'service_unavailable', retry_count: 0 },
    ]);
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', parse_origin: 'real', embed_origin: 'real' }]);
  });
});

describe('a fallback in hybrid', () => {
  it.each([
    ['E112', 'key_refused', () => problem('E112', 'refused', { http_status: 401 }), 1],
    ['E302', 'no_credit', () => problem('E302', 'no credit', { http_status: 402 }), 1],
    ['E304', 'breaker_open', () => problem('E304', 'paused', { retry: { kind: 'after', ms: 30_000 } }), 1],
    ['E301', 'rate_limited', () => rateLimited(), 3],
    ['E303', 'service_unavailable', noAnswer, 3],
  ] as [string, string, () => TvdbError, number][])(
    'of the vectors after %s: reason %s, labelled, in one space',
    async (_code, why, error, requests) => {
      const line = paidLine({
        settings: { MAX_RETRIES: 2 },
        paidEmbed: { onEmbed: async () => Promise.reject(error()) },
      });
      await line.upload('one', { mode: 'hybrid' });
      await finish(line);
      const [job] = await line.jobs();
      expect(job).toMatchObject({
        status: 'complete',
        parse_origin: 'real',
        embed_origin: 'mock',
        fallback_triggered: 1,
      });
      expect(job && decisionOf(job).services.openai).toMatchObject({ use: 'mock', why, fallback: true });
      expect(line.embedding.requests).toHaveLength(requests);
      const fallback = line.events.find(({ code }) => code === 'FALLBACK');
      expect(fallback).toMatchObject({ severity: 'warn' });
      expect(JSON.parse(fallback?.data ?? '')).toEqual({ service: 'openai', to: 'mock', reason: why });
      expect(await spacesOf(line)).toEqual([{ name: SPACE, origin: 'mock' }]);
      await expectSound(line);
    },
  );

  it.each([
    ['the key is refused', () => problem('E112', 'refused', { http_status: 401 })],
    ['nobody answers', noAnswer],
  ])('of the parse when %s takes the vectors along', async (_what, error) => {
    const line = paidLine({ settings: { MAX_RETRIES: 1 }, paid: { onSubmit: async () => Promise.reject(error()) } });
    await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([
      { status: 'complete', parse_origin: 'mock', embed_origin: 'mock', fallback_triggered: 1 },
    ]);
    expect(line.embedding.requests).toEqual([]);
    await expectSound(line);
  });

  it('happens when the bytes cannot be sent, because nothing was asked for yet', async () => {
    const line = paidLine({
      settings: { MAX_RETRIES: 1 },
      paid: {
        onPrepare: () => {
          throw noAnswer();
        },
      },
    });
    await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', parse_origin: 'mock' }]);
    expect(await attemptsOf(line, 'parse')).toMatchObject([
      { origin: 'real', outcome: 'failed', sent: null },
      { origin: 'mock' },
    ]);
  });

  it('does not happen once a remote parse exists: it is paid, and waited for', async () => {
    let down = true;
    const line = paidLine({
      settings: { MAX_RETRIES: 1, PARSE_DEADLINE: 600_000 },
      stateOf: async () => (down && line.remote.jobs.size > 0 ? BROKEN : CLOSED),
      paid: {
        onPoll: (_job, nth) => {
          if (nth < 8) throw noAnswer();
          down = false;
          return undefined;
        },
      },
    });
    await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([
      { status: 'complete', parse_origin: 'real', embed_origin: 'real', fallback_triggered: 0 },
    ]);
  });

  it('does not happen over a paid parse when the key is refused meanwhile: the job fails, and `tvdb retry` collects it', async () => {
    let refused = true;
    const line = paidLine({
      paid: {
        onPoll: () => {
          if (refused) throw problem('E112', 'refused', { http_status: 401 });
          return undefined;
        },
      },
    });
    const { job } = await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'failed_parse', parse_origin: 'real', fallback_triggered: 0 }]);
    refused = false;
    await retryJob(line.deps, job.job_id, 'run', quiet);
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', parse_origin: 'real' }]);
    expect(line.remote.posts).toHaveLength(1);
  });

  it('does not happen in real: the job fails, and says why', async () => {
    const line = paidLine({ paidEmbed: { onEmbed: async () => Promise.reject(problem('E302', 'no credit')) } });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    const [job] = await line.jobs();
    expect(job).toMatchObject({ status: 'failed_embedding', fallback_triggered: 0 });
    expect(JSON.parse(job?.last_error ?? '')).toMatchObject({ code: 'TVDB-E302' });
    expect(line.embedding.requests).toHaveLength(1);
  });
});

describe('redoing what fell back', () => {
  async function fallen(which: ServiceName) {
    let down = true;
    const line = paidLine({
      settings: { MAX_RETRIES: 0 },
      stateOf: async (service) => (down && service === which ? BROKEN : CLOSED),
    });
    const { job } = await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    const [from] = await line.jobs();
    if (from === undefined) throw new Error('there is no job');
    expect(from).toMatchObject({ job_id: job.job_id, status: 'complete', fallback_triggered: 1 });
    return {
      line,
      from,
      back: () => {
        down = false;
      },
    };
  }

  it('costs no parse when the parse was real, and takes the vectors of the stand-in out', async () => {
    const { line, from, back } = await fallen('openai');
    expect(await spacesOf(line)).toEqual([{ name: SPACE, origin: 'mock' }]);
    back();
    expect(await upgradeFallback(line.deps, from, 'run-2', quiet)).toMatchObject({ state: 'accepted' });
    await finish(line);
    expect(line.remote.posts).toHaveLength(1);
    expect(line.embedding.requests).toHaveLength(1);
    expect(await spacesOf(line)).toEqual([{ name: PAID_SPACE, origin: 'real' }]);
    const [, upgraded] = await line.jobs();
    expect(upgraded).toMatchObject({ status: 'complete', fallback_triggered: 0, upgrades_job: from.job_id });
    await expectSound(line);
  });

  it('parses and embeds when both were stand-ins', async () => {
    const { line, from, back } = await fallen('llamaparse');
    back();
    await upgradeFallback(line.deps, from, 'run-2', quiet);
    await finish(line);
    expect(line.remote.posts).toHaveLength(1);
    expect(await spacesOf(line)).toEqual([{ name: PAID_SPACE, origin: 'real' }]);
    const chunks = await line.store.db.selectFrom('document_chunks').select('origin').distinct().execute();
    expect(chunks).toEqual([{ origin: 'real' }]);
  });

  it('is refused with E305 while it would fall back again, and changes nothing', async () => {
    const { line, from } = await fallen('openai');
    expect(await upgradeFallback(line.deps, from, 'run-2', quiet)).toMatchObject({
      state: 'refused',
      error: { code: 'E305' },
    });
    expect(await line.jobs()).toHaveLength(1);
  });

  it('attaches to the one that is under way', async () => {
    const { line, from, back } = await fallen('openai');
    back();
    const first = await upgradeFallback(line.deps, from, 'run-2', quiet);
    const second = await upgradeFallback(line.deps, from, 'run-3', quiet);
    expect([first.state, second.state]).toEqual(['accepted', 'attached']);
    await finish(line);
    expect(line.embedding.requests).toHaveLength(1);
  });
});

describe('a mode that is changed', () => {
  const mock = { mode: 'mock', overrides: {} } as const;

  it('while nothing was sent, is followed before anything is', async () => {
    let changed = false;
    const line: PaidLine = paidLine({
      paid: {
        onPrepare: () => {
          if (changed) return;
          changed = true;
          throw noAnswer();
        },
      },
    });
    const { job } = await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('RETRY_SCHEDULED'));
    expect(await changeMode(line.deps, job.job_id, mock, quiet)).toMatchObject({ state: 'changed', from: 'real' });
    await settle(line.clock, running);
    expect(line.remote.posts).toEqual([]);
    expect(await line.jobs()).toMatchObject([
      { status: 'complete', service_mode: 'mock', parse_origin: 'mock', embed_origin: 'mock' },
    ]);
  });

  it('while a paid parse is under way, lets that be collected, and embeds as the new mode says', async () => {
    const line = paidLine({ paid: { latencyMs: 10_000 } });
    const { job } = await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('PARSE_REQUESTED'));
    await changeMode(line.deps, job.job_id, mock, quiet);
    await settle(line.clock, running);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', parse_origin: 'real', embed_origin: 'mock' }]);
    expect(line.remote.posts).toHaveLength(1);
    expect(await spacesOf(line)).toEqual([{ name: SPACE, origin: 'mock' }]);
  });

  it('while its vectors are half made, makes all of them anew', async () => {
    const line: PaidLine = paidLine({
      settings: { EMBED_BATCH_SIZE: 1, EMBED_LINGER: 0, MAX_RETRIES: 9 },
      paidEmbed: { onEmbed: async (_texts, nth) => (nth === 2 ? Promise.reject(rateLimited(5_000)) : undefined) },
    });
    const { job } = await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(
      line.clock,
      () => line.embedding.requests.length === 2 && codesOf(line).includes('RETRY_SCHEDULED'),
      100,
    );
    await changeMode(line.deps, job.job_id, mock, quiet);
    await settle(line.clock, running);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', embed_origin: 'mock' }]);
    expect(await spacesOf(line)).toEqual([{ name: SPACE, origin: 'mock' }]);
    await expectSound(line);
  });

  it('wakes a job that rests because of the old one', async () => {
    const line = paidLine();
    const { job } = await line.upload('one', { mode: 'real' });
    const keyless = paidLine({
      home: line.home,
      clock: line.clock,
      seed: 2,
      keys: { llamaparse: undefined, openai: undefined },
      settings: { DRAIN_WAIT: 0 },
    });
    await finish(keyless);
    expect(await line.jobs()).toMatchObject([{ park_reason: 'service_unavailable' }]);
    await changeMode(keyless.deps, job.job_id, mock, quiet);
    await finish(keyless);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', parse_origin: 'mock' }]);
  });

  it('in the middle of the worker deciding a fallback: what the user said last counts', async () => {
    const line: PaidLine = paidLine({
      paidEmbed: {
        onEmbed: async () => {
          await changeMode(line.deps, jobId, { mode: 'real', overrides: {} }, quiet);
          throw problem('E302', 'no credit');
        },
      },
    });
    const { job } = await line.upload('one', { mode: 'hybrid' });
    const jobId = job.job_id;
    await finish(line);
    expect(await line.jobs()).toMatchObject([
      { status: 'failed_embedding', service_mode: 'real', fallback_triggered: 0 },
    ]);
  });

  it('never leaves vectors to a mock in real when the process has no key', async () => {
    const line = paidLine({ settings: { DRAIN_WAIT: 0 } });
    await line.upload('one', { mode: 'mock' });
    line.store.sqlite.exec("UPDATE upload_jobs SET service_mode = 'real'");
    const keyless = paidLine({
      home: line.home,
      clock: line.clock,
      seed: 2,
      keys: { llamaparse: undefined, openai: undefined },
      settings: { DRAIN_WAIT: 0 },
    });
    await finish(keyless);
    expect(await line.jobs()).toMatchObject([{ status: 'uploaded', park_reason: 'service_unavailable' }]);
  });

  it('twice in the middle of 20 jobs, with services that fail at random, loses none and mixes no spaces', async () => {
    const mode = fc.constantFrom('mock' as const, 'real' as const, 'hybrid' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        mode,
        mode,
        mode,
        fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
        async (seed, first, second, third, dice) => {
          const roll = () => dice.next().value ?? 9;
          const trouble = () => {
            const face = roll();
            if (face === 0) throw rateLimited(1_000);
            if (face === 1) throw noAnswer();
          };
          const line = paidLine({
            seed: Math.abs(seed) % 1000,
            settings: {
              MAX_RETRIES: 20,
              LLAMAPARSE_PARALLEL: 6,
              EMBED_BATCH_SIZE: 4,
              EMBED_LINGER: 1_000,
              POLL_FIRST: 1_000,
              POLL_CAP: 3_000,
            },
            paid: {
              latencyMs: 4_000,
              onSubmit: async (create) => {
                trouble();
                return create();
              },
              onPoll: () => void trouble() as undefined,
            },
            paidEmbed: {
              onEmbed: async () => {
                trouble();
                return undefined;
              },
            },
          });
          for (let index = 0; index < 20; index += 1) await line.upload(`document ${index}`, { mode: first });
          const running = line.drain({ concurrency: 4 });
          for (const next of [second, third]) {
            for (let turns = roll(); turns > 0; turns -= 1) await line.clock.advance(500);
            for (const { job_id: id } of await line.jobs())
              await changeMode(line.deps, id, { mode: next, overrides: {} }, quiet);
          }
          await settle(line.clock, running);
          expect((await line.jobs()).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'complete'));
          await expectSound(line);
          const { chunks, vectors } = await line.rows();
          expect(vectors).toBe(chunks);
          for (const { embed_origin: origin, embedding_space: space } of await line.jobs())
            expect(space).toBe(origin === 'real' ? PAID_SPACE : SPACE);
        },
      ),
      { numRuns: Number(process.env.TVDB_MODE_RUNS ?? 6) },
    );
  }, 120_000);
});

/** Which failures of paid services count as a try, which only wait, and which end the job at once. */
import { describe, expect, it } from 'vitest';
import type { TvdbError } from '../../src/base/errors.ts';
import {
  attemptsOf,
  codesOf,
  expectSound,
  finish,
  localWait,
  noAnswer,
  paidLine,
  problem,
  rateLimited,
} from './paid-services.ts';

const failing = (error: (nth: number) => TvdbError | undefined) => ({
  onEmbed: async (_texts: readonly string[], nth: number): Promise<undefined> => {
    const thrown = error(nth);
    if (thrown !== undefined) throw thrown;
  },
});

describe('a failure of a paid service', () => {
  it('that was answered with 429 counts as a try, and waits at least as long as was asked', async () => {
    const at: number[] = [];
    const line = paidLine({
      settings: { MAX_RETRIES: 2 },
      paidEmbed: failing(() => {
        at.push(line.clock.monotonic());
        return rateLimited(9_000);
      }),
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(at).toHaveLength(3);
    for (const [index, time] of at.slice(1).entries()) expect(time - (at[index] ?? 0)).toBeGreaterThanOrEqual(9_000);
    expect(await line.jobs()).toMatchObject([{ status: 'failed_embedding' }]);
    await expectSound(line);
  });

  it.each([
    ['its turn', () => localWait(2_000)],
    ['the breaker', () => problem('E304', 'paused', { retry: { kind: 'after', ms: 2_000 } })],
  ])('that is a wait on this machine for %s uses up no try', async (_what, error) => {
    let waits = 0;
    const line = paidLine({ settings: { MAX_RETRIES: 1 } });
    const { embed } = line.embedding;
    // Refused before anything left.
    line.embedding.embed = async (...args) => {
      waits += 1;
      if (waits <= 7) throw error();
      return embed(...args);
    };
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(line.embedding.requests).toHaveLength(1);
    expect(codesOf(line)).not.toContain('RETRY_SCHEDULED');
  });

  it.each([
    ['the key is refused', 'E112', 401],
    ['there is no credit', 'E302', 402],
  ] as const)('because %s ends the job after one request', async (_what, code, status) => {
    const line = paidLine({
      paid: { onSubmit: async () => Promise.reject(problem(code, 'no', { http_status: status })) },
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(line.remote.posts).toHaveLength(1);
    const [job] = await line.jobs();
    expect(job?.status).toBe('failed_parse');
    expect(JSON.parse(job?.last_error ?? '')).toMatchObject({ code: `TVDB-${code}` });
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'failed', http_status: status }]);
  });

  it('rests while all processes together have retried enough, and goes on when they may again', async () => {
    let allowed = 0;
    let asked = 0;
    const line = paidLine({
      settings: { MAX_RETRIES: 3 },
      retryAllowed: async () => {
        asked += 1;
        allowed += 1;
        return allowed > 4;
      },
      paidEmbed: failing((nth) => (nth <= 5 ? noAnswer() : undefined)),
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(asked).toBe(5);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    // Four rests that used up no try, one retry that did.
    const retries = line.events.filter(({ code }) => code === 'RETRY_SCHEDULED');
    expect(retries).toHaveLength(1);
    expect(
      line.events.filter(({ code }) => code === 'PARKED').some(({ data }) => data.includes('too many retries')),
    ).toBe(true);
  });

  it('counts anew for each part of a document', async () => {
    const line = paidLine({
      settings: { MAX_RETRIES: 1, EMBED_BATCH_SIZE: 1, EMBED_LINGER: 0 },
      paidEmbed: failing((nth) => (nth % 2 === 1 ? noAnswer() : undefined)),
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    await expectSound(line);
  });
});

/** The mock embedding service: the contract of all services, and its switches. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import { createMockEmbed, MOCK_SPACE, type MockEmbedOptions } from '../../src/services/embed/mock.ts';
import { embedContract } from '../contract/embed.ts';

const ATTEMPT = { attemptId: 'attempt', jobId: 'job', correlationId: 'correlation' };

/** A clock that notes how long it was asked to wait, and does not. */
function waitingClock(): { clock: Clock; waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    clock: {
      now: () => 0,
      monotonic: () => 0,
      async sleep(ms, signal) {
        signal?.throwIfAborted();
        waits.push(ms);
      },
    },
  };
}

function mock(options: Partial<MockEmbedOptions> = {}) {
  const { clock } = waitingClock();
  return createMockEmbed({ clock, random: () => 0.5, latencyMs: 0, failureRate: 0, ...options });
}

embedContract('mock', () => mock());

describe('mock embedding service', () => {
  const signal = new AbortController().signal;

  it('has the space of the design and says that it is a mock', () => {
    expect(mock()).toMatchObject({ origin: 'mock', space: MOCK_SPACE });
    expect(MOCK_SPACE.name).toBe('mock/hash-ngram@1/1536');
  });

  it('bills nothing', async () => {
    const { tokensBilled } = await mock().embed(['one two three', 'four'], ATTEMPT, signal);
    expect(tokensBilled).toBe(0);
  });

  it('waits the configured time once for each batch', async () => {
    const { clock, waits } = waitingClock();
    const service = mock({ clock, latencyMs: 250 });
    await service.embed(['a', 'b', 'c'], ATTEMPT, signal);
    await service.embed(['d'], ATTEMPT, signal);
    expect(waits).toEqual([250, 250]);
  });

  it('fails the configured share of batches, and says that a later try is safe', async () => {
    const draws = [0.1, 0.29, 0.3, 0.9];
    const service = mock({ random: () => draws.shift() ?? 1, failureRate: 0.3 });
    const outcomes: unknown[] = [];
    for (let batch = 0; batch < 4; batch += 1) {
      const outcome = await service.embed(['text'], ATTEMPT, signal).catch((error: unknown) => error);
      outcomes.push(outcome instanceof TvdbError ? [outcome.code, outcome.retry] : 'ok');
    }
    expect(outcomes).toEqual([['E306', { kind: 'later' }], ['E306', { kind: 'later' }], 'ok', 'ok']);
  });

  it('never fails at rate 0 and always at rate 1', async () => {
    await expect(mock({ random: () => 0, failureRate: 0 }).embed(['text'], ATTEMPT, signal)).resolves.toBeDefined();
    await expect(mock({ random: () => 0.999999, failureRate: 1 }).embed(['text'], ATTEMPT, signal)).rejects.toThrow(
      TvdbError,
    );
  });

  it('lets other work of the process run between two texts', async () => {
    let turns = 0;
    let running = true;
    const count = () => {
      turns += 1;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    await mock().embed(Array(20).fill('some words'), ATTEMPT, signal);
    running = false;
    expect(turns).toBeGreaterThanOrEqual(19);
  });
});

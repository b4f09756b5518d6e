/**
 * What every parse service must do, whichever provider is behind it. Called by the test file of each implementation.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import type { ParseAttempt, ParsePoll, ParseRequest, ParseService } from '../../src/services/parse/port.ts';

export interface ParseHarness {
  service: ParseService;
  /** A readable document, and for each of its pages a word that stands on this page only. */
  document: ParseRequest;
  words: readonly string[];
  /** A document that the service accepts or refuses at once, but cannot parse. */
  unreadable: ParseRequest;
  /** How long one poll may wait for news, in ms of the clock of the service. */
  waitMs: number;
  /** What passes between two looks at a service that works elsewhere; default nothing. */
  pause?(): Promise<void>;
  /** Makes ids of attempts unlike those of earlier runs, where the service remembers them. */
  run?: string;
  /** An id that could be one of the service but is not. */
  unknownId?: string;
  /** Where a search has to look; default at any time. */
  window?: { from: number; to: number };
  dispose(): Promise<void>;
}

const never = new AbortController().signal;
const ANY_TIME = { from: 0, to: Number.MAX_SAFE_INTEGER };

/** Runs the contract over one implementation; `make` is called before each test. */
export function parseContract(name: string, make: () => Promise<ParseHarness>): void {
  describe(`${name} keeps the contract of a parse service`, () => {
    let harness: ParseHarness;
    beforeEach(async () => {
      harness = await make();
    });
    afterEach(() => harness.dispose());

    let count = 0;
    const attempt = (): ParseAttempt => {
      count += 1;
      return {
        attemptId: `attempt-${harness.run ?? ''}${count}`,
        jobId: `job-${count}`,
        correlationId: `correlation-${count}`,
      };
    };

    /** Polls until the parse has ended; 200 polls are far more than any honest service needs. */
    async function ended(remoteId: string): Promise<ParsePoll> {
      for (let polls = 0; polls < 200; polls += 1) {
        const news = await harness.service.poll(remoteId, harness.waitMs, never);
        if (news.state !== 'pending' && news.state !== 'running') return news;
        await harness.pause?.();
      }
      throw new Error(`${remoteId} did not end within 200 polls`);
    }

    it('parses a document: every page exactly once, in order, with its own text', async () => {
      const { service, document, words } = harness;
      const { remoteId } = await service.submit(document, attempt(), never);
      expect(await ended(remoteId)).toEqual({ state: 'done' });
      const { pages, creditsBilled } = await service.fetchResult(remoteId, never);
      expect(pages.map(({ number }) => number)).toEqual(words.map((_, index) => index + 1));
      for (const [index, page] of pages.entries()) {
        const held = words.filter((word) => 'markdown' in page && page.markdown.includes(word));
        expect(held).toEqual([words[index]]);
      }
      if (creditsBilled !== null) expect(creditsBilled).toBeGreaterThanOrEqual(0);
    });

    it('gives the same result again when it is asked again', async () => {
      const { service, document } = harness;
      const { remoteId } = await service.submit(document, attempt(), never);
      await ended(remoteId);
      expect(await service.fetchResult(remoteId, never)).toEqual(await service.fetchResult(remoteId, never));
      expect(await service.poll(remoteId, 0, never)).toEqual({ state: 'done' });
    });

    it('fails a document it cannot read with an error of tvdb, at once or in the end', async () => {
      const { service, unreadable } = harness;
      const outcome = await service.submit(unreadable, attempt(), never).then(
        ({ remoteId }) => ended(remoteId),
        (error: unknown) => ({ state: 'failed', error }),
      );
      expect(outcome).toMatchObject({ state: 'failed', error: expect.any(TvdbError) });
    });

    it('says gone to an id it does not know', async () => {
      const { service, unknownId = 'never-submitted' } = harness;
      expect(await service.poll(unknownId, 0, never)).toEqual({ state: 'gone' });
      await expect(service.fetchResult(unknownId, never)).rejects.toBeInstanceOf(TvdbError);
    });

    it('finds what was started for an attempt, and nothing for others', async () => {
      const { service, document, window = ANY_TIME } = harness;
      const mine = attempt();
      const { remoteId } = await service.submit(document, mine, never);
      expect(await service.findByAttempt(mine.attemptId, window, never)).toEqual([remoteId]);
      expect(await service.findByAttempt('another', window, never)).toEqual([]);
    });

    it('stops what is cancelled, and cancels unknown ids without complaint', async () => {
      const { service, document, unknownId = 'never-submitted' } = harness;
      const { remoteId } = await service.submit(document, attempt(), never);
      await service.cancel(remoteId, never);
      expect((await ended(remoteId)).state).not.toBe('running');
      await service.cancel(remoteId, never);
      await service.cancel(unknownId, never);
    });

    it('does nothing for a caller who has gone', async () => {
      const gone = AbortSignal.abort(new Error('interrupted'));
      const mine = attempt();
      await expect(harness.service.submit(harness.document, mine, gone)).rejects.toThrow('interrupted');
      expect(await harness.service.findByAttempt(mine.attemptId, harness.window ?? ANY_TIME, never)).toEqual([]);
      await expect(harness.service.poll('any', 0, gone)).rejects.toThrow('interrupted');
    });

    it('reports its health without spending', async () => {
      expect(await harness.service.health(never)).toMatchObject({ ok: true, detail: expect.any(String) });
    });
  });
}

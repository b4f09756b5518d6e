import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import type { ParsedPage } from '../../src/domain/parsed-page.ts';
import { createMockParse } from '../../src/services/parse/mock.ts';
import type { ParseRequest } from '../../src/services/parse/port.ts';
import type { PdfExtractor } from '../../src/services/pdf/pool.ts';
import { parseContract } from '../contract/parse.ts';
import { flat, manualClock, never, rawPdf, sharedPool, stored } from './pdf-harness.ts';

const WORDS = ['apricot', 'bergamot', 'cardamom'];
const FREE = { latencyMs: 0, perPageLatencyMs: 0, failureRate: 0 };
const PAGES: ParsedPage[] = [{ number: 1, markdown: 'text' }];

const request = (path: string, pages: number): ParseRequest => ({
  documentId: 'document',
  path,
  fileSha256: '0'.repeat(64),
  mime: 'application/pdf',
  pages,
});
const attempt = (attemptId: string) => ({ attemptId, jobId: 'job', correlationId: 'correlation' });

const real = sharedPool();

parseContract('the mock parser', async () => {
  const service = createMockParse({ pool: real, clock: systemClock, random: () => 0.5, ...FREE });
  return {
    service,
    document: request(stored(rawPdf(flat(WORDS))), WORDS.length),
    words: WORDS,
    unreadable: request(stored('%PDF-1.7\nnothing of use'), 1),
    waitMs: 1_000,
    dispose: () => service.close(),
  };
});

describe('the mock parser', () => {
  /** A service over an extractor that answers when told to, on a clock that moves when told to. */
  function controlled(options: Partial<typeof FREE & { random: () => number }> = {}) {
    const clock = manualClock();
    const calls: { answer(pages: ParsedPage[]): void; refuse(error: unknown): void; signal: AbortSignal }[] = [];
    const pool: PdfExtractor = {
      extract: (_path, _pages, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
          calls.push({ answer: resolve, refuse: reject, signal });
        }),
    };
    return { clock, calls, service: createMockParse({ pool, clock, random: () => 0.5, ...FREE, ...options }) };
  }

  it('names itself, so that its parses never mix with real ones', () => {
    const { service } = controlled();
    expect(service).toMatchObject({
      origin: 'mock',
      parserName: 'mock-liteparse',
      parserVersion: '2.14@1',
      runsHere: true,
    });
  });

  it('answers a poll with news as soon as there is some, and with running when the wait is over', async () => {
    const { clock, calls, service } = controlled();
    const { remoteId } = await service.submit(request('/x', 1), attempt('a'), never);
    expect(remoteId).toBe('mock-a');
    const impatient = service.poll(remoteId, 1_000, never);
    clock.advance(1_000);
    expect(await impatient).toEqual({ state: 'running' });
    const patient = service.poll(remoteId, 60_000, never);
    calls[0]?.answer(PAGES);
    expect(await patient).toEqual({ state: 'done' });
    expect(await service.fetchResult(remoteId, never)).toEqual({ pages: PAGES, creditsBilled: 0 });
  });

  it('takes the simulated time, per document and per page', async () => {
    const { clock, calls, service } = controlled({ latencyMs: 500, perPageLatencyMs: 100 });
    const { remoteId } = await service.submit(request('/x', 5), attempt('a'), never);
    calls[0]?.answer(PAGES);
    clock.advance(999);
    expect(await service.poll(remoteId, 0, never)).toEqual({ state: 'running' });
    const news = service.poll(remoteId, 1_000, never);
    clock.advance(1);
    expect(await news).toEqual({ state: 'done' });
  });

  it('ends a poll whose caller is interrupted', async () => {
    const { service } = controlled();
    const { remoteId } = await service.submit(request('/x', 1), attempt('a'), never);
    const stop = new AbortController();
    const waiting = service.poll(remoteId, 60_000, stop.signal);
    stop.abort(new Error('interrupted'));
    await expect(waiting).rejects.toThrow('interrupted');
    await service.close();
  });

  it('reports why an extraction failed, also in one piece with its simulated time', async () => {
    const { calls, service } = controlled({ latencyMs: 60_000 });
    const { remoteId } = await service.submit(request('/x', 1), attempt('a'), never);
    const reason = new TvdbError('E408', { message: 'no text' });
    calls[0]?.refuse(reason);
    expect(await service.poll(remoteId, 1_000, never)).toEqual({ state: 'failed', error: reason });
  });

  it('refuses the configured share of submissions with E306, to be tried again later', async () => {
    const draws = [0.29, 0.3];
    const { calls, service } = controlled({ failureRate: 0.3, random: () => draws.shift() ?? 1 });
    const refused = service.submit(request('/x', 1), attempt('a'), never);
    await expect(refused).rejects.toMatchObject({ code: 'E306', retry: { kind: 'later' } });
    expect(await service.findByAttempt('a', { from: 0, to: 1 }, never)).toEqual([]);
    await service.submit(request('/x', 1), attempt('b'), never);
    expect(calls).toHaveLength(1);
    await service.close();
  });

  it('starts an attempt once, however often it is submitted', async () => {
    const { calls, service } = controlled();
    const first = await service.submit(request('/x', 1), attempt('a'), never);
    expect(await service.submit(request('/x', 1), attempt('a'), never)).toEqual(first);
    expect(calls).toHaveLength(1);
    await service.close();
  });

  it('kills the extraction of what is cancelled, and forgets it', async () => {
    const { calls, service } = controlled();
    const { remoteId } = await service.submit(request('/x', 1), attempt('a'), never);
    await service.cancel(remoteId, never);
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(await service.poll(remoteId, 0, never)).toEqual({ state: 'gone' });
  });

  it('keeps a bounded number of fetched results and every result that was not fetched', async () => {
    const { calls, service } = controlled();
    const ids = Array.from({ length: 20 }, (_, index) => `a${index}`);
    for (const id of ids) await service.submit(request('/x', 1), attempt(id), never);
    for (const { answer } of calls) answer(PAGES);
    for (const id of ids.slice(0, 10)) {
      await service.poll(`mock-${id}`, 1, never);
      await service.fetchResult(`mock-${id}`, never);
    }
    const states = await Promise.all(ids.map(async (id) => (await service.poll(`mock-${id}`, 0, never)).state));
    expect(states).toEqual([...new Array(6).fill('gone'), ...new Array(14).fill('done')]);
  });

  it('stops everything when it is closed', async () => {
    const { calls, service } = controlled();
    const { remoteId } = await service.submit(request('/x', 1), attempt('a'), never);
    await service.close();
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(await service.poll(remoteId, 0, never)).toEqual({ state: 'gone' });
  });
});

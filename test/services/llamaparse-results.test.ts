import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPages } from '../../src/services/parse/llamaparse-pages.ts';
import { createBody } from '../../src/services/parse/llamaparse-wire.ts';
import {
  attempt,
  type ClientOptions,
  clientOf,
  errorOf,
  job,
  KEY,
  never,
  type ScriptedAnswer,
  SECOND_KEY,
  type SentRequest,
  scripted,
} from './llamaparse-harness.ts';

function answering(answer: (request: SentRequest, count: number) => ScriptedAnswer, options: ClientOptions = {}) {
  const { dispatcher, sent } = scripted(answer);
  return { ...clientOf({ ...options, dispatcher }), sent };
}

const HTML: ScriptedAnswer = { status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>404</h1>' };
const NO_JOB: ScriptedAnswer = { status: 404, body: { detail: 'Parse job not found' } };

describe('a look at a parse', () => {
  it.each([
    ['PENDING', 'pending'],
    ['RUNNING', 'running'],
    ['COMPLETED', 'done'],
  ])('reads %s', async (status, state) => {
    const { service, sent } = answering(() => ({ body: { job: job({ status }) } }));
    expect(await service.poll('pjb-1', 60_000, never)).toEqual({ state });
    expect(sent).toMatchObject([{ method: 'GET', path: '/api/v2/parse/pjb-1' }]);
    expect([...(sent[0]?.query ?? [])]).toEqual([]);
  });

  it('reads a job that is not wrapped as well', async () => {
    const { service } = answering(() => ({ body: job({ status: 'RUNNING' }) }));
    expect(await service.poll('pjb-1', 0, never)).toEqual({ state: 'running' });
  });

  it.each([
    ['UNSUPPORTED_FILE_TYPE', 'E402'],
    ['error: PDF_IS_PROTECTED.', 'E404'],
    ['PDF_IS_BROKEN', 'E405'],
    ['NO_DATA_FOUND_IN_FILE', 'E408'],
    ['DOCUMENT_TOO_LARGE', 'E406'],
    ['TOO_MANY_PAGES', 'E407'],
    ['TIMEOUT', 'E310'],
    ['something else', 'E310'],
    [null, 'E310'],
  ])('maps the failure %s to %s', async (reason, code) => {
    const { service } = answering(() => ({ body: { job: job({ status: 'FAILED', error_message: reason }) } }));
    expect(await service.poll('pjb-1', 0, never)).toMatchObject({
      state: 'failed',
      error: { code, retry: { kind: 'never' }, chargedNanoUsd: null },
    });
  });

  it('says failed to one that was cancelled', async () => {
    const { service } = answering(() => ({ body: { job: job({ status: 'CANCELLED' }) } }));
    expect(await service.poll('pjb-1', 0, never)).toMatchObject({ state: 'failed', error: { code: 'E310' } });
  });

  it('keeps hostile words of a failure short and harmless', async () => {
    const words = `\x1b[2J${KEY}\u202e ${'x'.repeat(5_000)}`;
    const { service } = answering(() => ({ body: { job: job({ status: 'FAILED', error_message: words }) } }));
    const poll = await service.poll('pjb-1', 0, never);
    const why = poll.state === 'failed' ? (poll.error.why ?? '') : '';
    expect(why).toHaveLength(300);
    expect(why).not.toMatch(/llx-|[\u0000-\u001f\u202e]/);
  });

  it('says gone only when the service says it does not know the parse', async () => {
    const { service, reports } = answering(() => NO_JOB);
    expect(await service.poll('pjb-1', 0, never)).toEqual({ state: 'gone' });
    expect(reports).toMatchObject([{ httpStatus: 404, error: null }]);
  });

  it.each<[string, ScriptedAnswer, string]>([
    ['a page that is not of the service', HTML, 'E308'],
    ['a path it does not serve', { status: 404, body: { detail: 'Not Found' } }, 'E308'],
    ['a result that is not there yet', { status: 404, body: { detail: 'Result not found. Check job status' } }, 'E308'],
    ['an unknown status', { body: { job: job({ status: 'PARTIAL_SUCCESS' }) } }, 'E308'],
    ['HTML', { body: '<html>', headers: { 'content-type': 'text/html' } }, 'E308'],
    ['truncated JSON', { body: '{"job": {"id"' }, 'E308'],
    ['nothing', { status: 204 }, 'E308'],
    ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example' } }, 'E308'],
    ['a failure of the service', { status: 503 }, 'E303'],
    ['a rate limit', { status: 429 }, 'E301'],
    ['a refused key', { status: 401 }, 'E112'],
  ])('never says gone to %s', async (_what, answer, code) => {
    const { service } = answering(() => answer);
    expect(await errorOf(service.poll('pjb-1', 0, never))).toMatchObject({ code });
  });

  it('goes on with the second key where the first was refused', async () => {
    const { service, sent } = answering(
      ({ authorization }) => (authorization === `Bearer ${KEY}` ? { status: 401 } : { body: job() }),
      { keys: [KEY, SECOND_KEY] },
    );
    await service.poll('pjb-1', 0, never);
    await service.poll('pjb-1', 0, never);
    expect(sent.map(({ authorization }) => authorization?.slice(-4))).toEqual(['0001', '0002', '0002']);
  });

  it('asks nothing for a text that is no id of the service', async () => {
    const { service, sent } = answering(() => ({ body: job() }));
    for (const id of ['..', '../files', '', 'a b', 'x'.repeat(300)]) {
      expect(await errorOf(service.poll(id, 0, never))).toMatchObject({ code: 'E308' });
    }
    expect(sent).toEqual([]);
  });
});

describe('the result of a parse', () => {
  const page = (number: number, markdown: string) => ({ page_number: number, success: true, markdown });
  const done = (content: Record<string, unknown>, credits: number | null = null) => ({
    body: { job: job({ status: 'COMPLETED', usage: { credits } }), ...content },
  });

  it('is fetched once, with its price, in page order', async () => {
    const pages = [page(3, 'c'), page(1, 'a'), { page_number: 2, success: false, error: 'model\u0007 refused' }];
    const { service, sent } = answering(() => done({ markdown: { pages } }, 9));
    expect(await service.fetchResult('pjb-1', never, [1, 2, 3, 4])).toEqual({
      pages: [
        { number: 1, markdown: 'a' },
        { number: 2, error: 'model refused' },
        { number: 3, markdown: 'c' },
        { number: 4, error: 'missing' },
      ],
      creditsBilled: 9,
    });
    expect(sent).toHaveLength(1);
    expect(sent[0]?.query.getAll('expand')).toEqual(['markdown', 'usage']);
  });

  it.each([null, 0, -3, 'nine', undefined])('has no price yet when the service says %s credits', async (credits) => {
    const { service } = answering(() => done({ markdown: { pages: [page(1, 'a')] } }, credits as null));
    expect((await service.fetchResult('pjb-1', never)).creditsBilled).toBeNull();
  });

  it('of the fast tier is text, and markdown where there is some', async () => {
    const text = answering(() => done({ text: { pages: [{ page_number: 1, text: 'plain' }] } }), { tier: 'fast' });
    expect((await text.service.fetchResult('pjb-1', never)).pages).toEqual([{ number: 1, markdown: 'plain' }]);
    expect(text.sent[0]?.query.getAll('expand')).toEqual(['text', 'usage']);
    const both = answering(
      () => done({ text: { pages: [{ page_number: 1, text: 'plain' }] }, markdown: { pages: [page(1, '# rich')] } }),
      { tier: 'fast' },
    );
    expect((await both.service.fetchResult('pjb-1', never)).pages).toEqual([{ number: 1, markdown: '# rich' }]);
  });

  it.each<[ClientOptions['tier'], string, string, string]>([
    ['fast', 'text', 'markdown', 'Text expansion is not available'],
    ['agentic', 'markdown', 'text', 'Markdown expansion is not available for FAST tier jobs.'],
  ])('of the tier %s is asked for by its other name when %s is refused', async (tier, first, second, detail) => {
    const { service, sent } = answering(
      ({ query }) =>
        query.getAll('expand').includes(first)
          ? { status: 400, body: { detail } }
          : done({ [second]: { pages: [{ page_number: 1, success: true, [second]: 'x' }] } }),
      { tier },
    );
    expect((await service.fetchResult('pjb-1', never)).pages).toEqual([{ number: 1, markdown: 'x' }]);
    expect(sent).toHaveLength(2);
  });

  it('is asked for by its other name once when the answer leaves it out', async () => {
    const { service, sent } = answering(() => done({ markdown: null }));
    expect(await errorOf(service.fetchResult('pjb-1', never))).toMatchObject({
      code: 'E308',
      retry: { kind: 'later' },
    });
    expect(sent.map(({ query }) => query.getAll('expand')[0])).toEqual(['markdown', 'text']);
  });

  it('comes without its price from a region that does not know the price', async () => {
    const { service, sent } = answering(({ query }) =>
      query.getAll('expand').includes('usage')
        ? { status: 422, body: { detail: [{ loc: ['query', 'expand', 1], msg: 'unknown value usage' }] } }
        : done({ markdown: { pages: [page(1, 'a')] } }),
    );
    expect(await service.fetchResult('pjb-1', never)).toMatchObject({ creditsBilled: null });
    await service.fetchResult('pjb-1', never);
    expect(sent.map(({ query }) => query.getAll('expand'))).toEqual([
      ['markdown', 'usage'],
      ['markdown'],
      ['markdown'],
    ]);
  });

  it('is not there yet when its news came first', async () => {
    const early = answering(() => ({ body: { job: job({ status: 'RUNNING' }), markdown: null } }));
    expect(await errorOf(early.service.fetchResult('pjb-1', never))).toMatchObject({
      code: 'E308',
      retry: { kind: 'later' },
    });
    expect(early.sent).toHaveLength(1);
    const half = answering(() => ({ body: { job: job({ status: 'RUNNING' }), markdown: { pages: [page(1, 'a')] } } }));
    expect(await errorOf(half.service.fetchResult('pjb-1', never))).toMatchObject({ code: 'E308' });
    const missing = answering(() => ({ status: 404, body: { detail: 'Result not found. Check job status.' } }));
    expect(await errorOf(missing.service.fetchResult('pjb-1', never))).toMatchObject({ retry: { kind: 'later' } });
  });

  it('that has expired is an E311', async () => {
    const { service } = answering(() => NO_JOB);
    expect(await errorOf(service.fetchResult('pjb-1', never))).toMatchObject({
      code: 'E311',
      retry: { kind: 'never' },
    });
  });

  it('can be asked for its price alone, later', async () => {
    const { service, sent } = answering((_request, count) => done({}, count === 1 ? null : 9));
    expect([await service.usage('pjb-1', never), await service.usage('pjb-1', never)]).toEqual([null, 9]);
    expect(sent[0]?.query.getAll('expand')).toEqual(['usage']);
    expect(await answering(() => NO_JOB).service.usage('pjb-1', never)).toBeNull();
  });
});

describe('the pages of a result', () => {
  const read = (pages: unknown[], asked?: number[]) => readPages({ markdown: { pages } }, asked);

  it('are recognised at the cut of 64 KB, counted in bytes of UTF-8', () => {
    const text = (markdown: string) => read([{ page_number: 1, success: true, markdown }])?.[0];
    expect(text('x'.repeat(65_536))).toMatchObject({ cut: true });
    expect(text('€'.repeat(21_845))).toMatchObject({ cut: true });
    expect(text('x'.repeat(65_532))).not.toHaveProperty('cut');
    expect(text('x'.repeat(70_000))).toMatchObject({ cut: true, markdown: 'x'.repeat(70_000) });
  });

  it('that were not asked for are dropped, and of two entries the readable one counts', () => {
    const pages = [
      { page_number: 2, success: false, error: 'first try' },
      { page_number: 2, success: true, markdown: 'second try' },
      { page_number: 2, success: true, markdown: 'third' },
      { page_number: 5, success: true, markdown: 'not asked for' },
    ];
    expect(read(pages, [2])).toEqual([{ number: 2, markdown: 'second try' }]);
  });

  it('with gaps say which are missing even when nobody said what was asked for', () => {
    expect(read([{ page_number: 3, success: true, markdown: 'c' }])).toEqual([
      { number: 1, error: 'missing' },
      { number: 2, error: 'missing' },
      { number: 3, markdown: 'c' },
    ]);
    expect(read([])).toEqual([]);
  });

  it('of a broken shape are missing, not guessed', () => {
    const broken = [null, 7, 'x', {}, { page_number: '1', markdown: 'a' }, { page_number: 1.5, markdown: 'a' }];
    expect(read([...broken, { page_number: -1, markdown: 'a' }, { page_number: 1e9, markdown: 'a' }], [1])).toEqual([
      { number: 1, error: 'missing' },
    ]);
    expect(read([{ page_number: 1, success: true, markdown: null }])).toEqual([{ number: 1, error: 'no text came' }]);
    expect(read([{ page_number: 1, success: false }])).toEqual([{ number: 1, error: 'failed' }]);
  });

  it('are exactly those asked for, in order, whatever comes', () => {
    const entry = fc.oneof(
      fc.anything(),
      fc.record({ page_number: fc.integer({ min: -2, max: 12 }), success: fc.boolean(), markdown: fc.string() }),
    );
    fc.assert(
      fc.property(fc.array(entry), fc.uniqueArray(fc.integer({ min: 1, max: 12 })), (pages, asked) => {
        const numbers = read(pages, asked)?.map(({ number }) => number);
        expect(numbers).toEqual([...asked].sort((a, b) => a - b));
      }),
    );
    fc.assert(fc.property(fc.anything(), (body) => [undefined, true].includes(readPages(body)?.every(Boolean))));
  });

  it('are written as the list the service takes', () => {
    const pageList = (targetPages: number[]) => {
      const { page_ranges: ranges } = createBody({
        tier: 'fast',
        version: '2026-06-15',
        fileId: 'dfl-1',
        request: { documentId: 'd', path: '/d', fileSha256: '0', mime: 'application/pdf', pages: 40, targetPages },
        attempt,
        webhook: null,
        lag: { userMetadata: false, webhookSecret: false },
      });
      return 'target_pages' in ranges ? ranges.target_pages : '';
    };
    expect(pageList([8, 1, 3, 5, 7, 6, 3])).toBe('1,3,5-8');
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (pages) => {
        const back = pageList(pages)
          .split(',')
          .flatMap((range) => {
            const [from = 0, to = from] = range.split('-').map(Number);
            return Array.from({ length: to - from + 1 }, (_, index) => from + index);
          });
        expect(back).toEqual([...new Set(pages)].sort((a, b) => a - b));
      }),
    );
  });
});

describe('the search for the parses of an attempt', () => {
  const WINDOW = { from: Date.UTC(2026, 10, 23, 12), to: Date.UTC(2026, 10, 23, 12, 15) };
  const mine = (id: string, minute: number, how: Record<string, unknown> = {}) =>
    job({ id, created_at: `2026-11-23T12:${String(minute).padStart(2, '0')}:00Z`, ...how });
  const byMetadata = { user_metadata: { tvdb_attempt: 'attempt-1' } };
  const list = (items: unknown[], next: string | null = null): ScriptedAnswer => ({
    body: { items, next_page_token: next, total_size: null },
  });

  it('reads the whole window, page by page, and answers oldest first (T04, T05)', async () => {
    const answers = [
      list([mine('pjb-3', 9, byMetadata), mine('other', 1, { user_metadata: { tvdb_attempt: 'attempt-2' } })], 'two'),
      list([mine('pjb-1', 2, byMetadata), mine('foreign', 3)], 'three'),
      list([mine('pjb-2', 5, { client_name: 'tvdb-attempt-1' }), mine('pjb-1', 2, byMetadata)]),
    ];
    const { service, sent } = answering((_request, count) => answers[count - 1] ?? {});
    expect(await service.findByAttempt('attempt-1', WINDOW, never)).toEqual(['pjb-1', 'pjb-2', 'pjb-3']);
    expect(sent.map(({ query }) => query.get('page_token'))).toEqual([null, 'two', 'three']);
    expect(Object.fromEntries(sent[0]?.query ?? [])).toEqual({
      created_at_on_or_after: '2026-11-23T12:00:00.000Z',
      created_at_on_or_before: '2026-11-23T12:15:00.000Z',
      page_size: '100',
    });
  });

  it('is empty when no job of the window is of the attempt', async () => {
    for (const items of [[], [mine('foreign', 1)], [mine('near', 1, { client_name: 'tvdb-attempt-10' })]]) {
      expect(await answering(() => list(items)).service.findByAttempt('attempt-1', WINDOW, never)).toEqual([]);
    }
  });

  it('takes any window', async () => {
    const { service, sent } = answering(() => list([]));
    await service.findByAttempt('attempt-1', { from: -5, to: Number.MAX_SAFE_INTEGER }, never);
    expect(sent[0]?.query.get('created_at_on_or_after')).toBe('1970-01-01T00:00:00.000Z');
    expect(sent[0]?.query.get('created_at_on_or_before')).toBe('9999-12-31T23:59:59.999Z');
  });

  it.each<[string, ScriptedAnswer, string]>([
    ['fails', { status: 500 }, 'E303'],
    ['is limited', { status: 429 }, 'E301'],
    ['is refused', { status: 401 }, 'E112'],
    ['is not found', NO_JOB, 'E308'],
    ['is HTML', { body: '<html>' }, 'E308'],
    ['is truncated', { body: '{"items":[' }, 'E308'],
    ['is no list', { body: { items: null } }, 'E308'],
    ['is empty without being one', { status: 204 }, 'E308'],
    ['holds a job that cannot be read', list([mine('pjb-1', 1), { id: 'x' }]), 'E308'],
    ['has a token that is none', { body: { items: [], next_page_token: 7 } }, 'E308'],
  ])('never proves absence by a list that %s (T04)', async (_how, answer, code) => {
    const first = answering(() => answer);
    expect(await errorOf(first.service.findByAttempt('attempt-1', WINDOW, never))).toMatchObject({ code });
    // The same on a later page, although the first one had a match.
    const second = answering((_request, count) => (count === 1 ? list([mine('a', 1, byMetadata)], 'two') : answer));
    expect(await errorOf(second.service.findByAttempt('attempt-1', WINDOW, never))).toMatchObject({ code });
  });

  it('never proves absence by a list that does not end', async () => {
    const circle = answering((_request, count) => list([], count % 2 === 0 ? 'a' : 'b'));
    expect(await errorOf(circle.service.findByAttempt('attempt-1', WINDOW, never))).toMatchObject({ code: 'E308' });
    expect(circle.sent).toHaveLength(3);
    const endless = answering((_request, count) => list([], `token-${count}`));
    expect(await errorOf(endless.service.findByAttempt('attempt-1', WINDOW, never))).toMatchObject({ code: 'E308' });
    expect(endless.sent.length).toBeLessThanOrEqual(101);
  });

  it('never proves absence by jobs that do not say whose they are', async () => {
    const { user_metadata: _metadata, ...mute } = mine('mute', 1);
    const { service } = answering(() => list([mute]));
    expect(await errorOf(service.findByAttempt('attempt-1', WINDOW, never))).toMatchObject({ code: 'E308' });
    const found = answering(() => list([mute, mine('pjb-1', 2, { name: 'tvdb-attempt-1.pdf' })]));
    expect(await found.service.findByAttempt('attempt-1', WINDOW, never)).toEqual(['pjb-1']);
  });
});

describe('stopping a parse', () => {
  it('asks once', async () => {
    const { service, sent } = answering(() => ({ body: job({ status: 'CANCELLED' }) }));
    await service.cancel('pjb-1', never);
    expect(sent).toMatchObject([{ method: 'POST', path: '/api/v2/parse/pjb-1/cancel' }]);
  });

  it.each([400, 404, 409, 422])('takes %i for a parse that has ended', async (status) => {
    const { service, reports } = answering(() => ({ status, body: { detail: 'is already terminal' } }));
    await service.cancel('pjb-1', never);
    expect(reports).toMatchObject([{ error: null }]);
  });

  it.each<[number, string]>([
    [401, 'E112'],
    [429, 'E301'],
    [500, 'E303'],
  ])('is not done after %i', async (status, code) => {
    const { service } = answering(() => ({ status }));
    expect(await errorOf(service.cancel('pjb-1', never))).toMatchObject({ code });
  });
});

describe('the health of the service', () => {
  const versions = { cost_effective: ['2026-08-19', '2026-08-11'], latest: {} };

  it('is asked for with its versions, which are free', async () => {
    const { service, sent, calls } = answering(() => ({ body: versions }));
    expect(await service.health(never)).toMatchObject({ ok: true, detail: expect.stringContaining('2026-08-19') });
    expect(sent).toMatchObject([{ method: 'GET', path: '/api/v2/parse/versions' }]);
    expect(calls).toMatchObject([{ operation: 'parse.versions', billable: false, tokens: 0 }]);
  });

  it.each<[string, ScriptedAnswer, string]>([
    ['lacks the pinned version', { body: { cost_effective: ['2027-01-01'] } }, '2026-08-19'],
    ['refuses the key', { status: 401 }, 'TVDB-E112'],
    ['fails', { status: 500 }, 'TVDB-E303'],
    ['is somebody else', { body: '<html>' }, 'TVDB-E308'],
  ])('is bad when it %s', async (_how, answer, detail) => {
    expect(await answering(() => answer).service.health(never)).toMatchObject({
      ok: false,
      detail: expect.stringContaining(detail),
    });
  });

  it('is not judged for a caller who has gone', async () => {
    const { service } = answering(() => ({ body: versions }));
    await expect(service.health(AbortSignal.abort(new Error('interrupted')))).rejects.toThrow('interrupted');
  });
});

it('names itself by tier and version', () => {
  const { service } = answering(() => ({}), { tier: 'agentic', version: '2026-09-07' });
  expect(service).toMatchObject({
    origin: 'real',
    parserName: 'llamaparse',
    parserVersion: 'agentic@2026-09-07',
    runsHere: false,
  });
});

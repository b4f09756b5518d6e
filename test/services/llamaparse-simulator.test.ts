import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ParseRequest } from '../../src/services/parse/port.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { type ParseHarness, parseContract } from '../contract/parse.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { attempt, type ClientOptions, clientOf, errorOf, never, WEBHOOK } from './llamaparse-harness.ts';
import { liveLane } from './llamaparse-live.ts';
import { sharedPool, stored } from './pdf-harness.ts';

const WORDS = ['apricot', 'bergamot', 'cardamom'];

/** Documents of these tests are lists of words, a page each; anything else is a broken PDF. */
async function pagesOf(bytes: Uint8Array): Promise<string[]> {
  const text = Buffer.from(bytes).toString('utf8');
  if (!text.startsWith('words:')) throw new Error('PDF_IS_BROKEN');
  return text.slice('words:'.length).split('|');
}

function requestOf(text: string, pages: number): ParseRequest {
  const path = join(tempDirectory(), 'document.pdf');
  writeFileSync(path, text);
  const fileSha256 = createHash('sha256').update(text).digest('hex');
  return { documentId: 'document', path, fileSha256, mime: 'application/pdf', pages };
}

async function simulated(options: Partial<SimulatorOptions> = {}, client: ClientOptions = {}) {
  const clock = virtualClock();
  const simulator = await startSimulator({ clock, pagesOf, ...options });
  onTestFinished(() => simulator.close());
  const made = clientOf({ baseUrl: simulator.llamaUrl, clock, files: new Map(), ...client });
  const document = requestOf(`words:${WORDS.join('|')}`, WORDS.length);
  return { ...made, simulator, clock, document };
}

type Simulated = Awaited<ReturnType<typeof simulated>>;
const around = ({ clock }: Simulated) => ({ from: clock.now() - 120_000, to: clock.now() + 900_000 });
const creates = ({ simulator }: Simulated) => simulator.log().filter(({ operation }) => operation === 'parse.create');

/** Looks until a parse has ended. */
async function ended({ service, clock }: Simulated, remoteId: string) {
  for (let looks = 0; looks < 50; looks += 1) {
    const news = await service.poll(remoteId, 0, never);
    if (news.state !== 'pending' && news.state !== 'running') return news;
    await clock.advance(1_000);
  }
  throw new Error('it did not end');
}

const contractOf = (options: Partial<SimulatorOptions>, client: ClientOptions) => async (): Promise<ParseHarness> => {
  const { service, document, clock } = await simulated(options, client);
  return {
    service,
    document,
    words: WORDS,
    unreadable: requestOf('%PDF-1.7 nothing of use', 1),
    waitMs: 0,
    pause: () => clock.advance(1_000),
    dispose: async () => undefined,
  };
};

parseContract('LlamaParse, simulated', contractOf({ latency: { parse: 3_000, page: 500 } }, {}));
parseContract(
  'LlamaParse in a region that lags behind, simulated',
  contractOf({ lagging: true }, { webhook: WEBHOOK }),
);
parseContract('LlamaParse of the fast tier, simulated', contractOf({}, { tier: 'fast', version: '2026-06-15' }));

const pool = sharedPool();
liveLane('LlamaParse as in the live lane, simulated', async () => {
  const simulator = await startSimulator({
    clock: virtualClock(Date.now()),
    pagesOf: async (bytes) => {
      const pages = await pool.extract(stored(bytes), 1, never).catch(() => {
        throw new Error('PDF_IS_BROKEN');
      });
      return pages.map((page) => ('markdown' in page ? page.markdown : ''));
    },
  });
  return { baseUrl: simulator.llamaUrl, key: 'llx-simulated', spacingMs: 5, close: () => simulator.close() };
});

describe('the LlamaParse client and what can go wrong at the service', () => {
  it.each<[string, string, boolean]>([
    ['500', 'E307', false],
    ['503:retry-after=2', 'E307', false],
    ['429:retry-after=2', 'E301', false],
    ['quota', 'E302', false],
    ['401', 'E112', false],
    ['422', 'E309', false],
    ['cut-before', 'E307', false],
    ['cut', 'E307', true],
    ['truncated', 'E307', true],
    ['malformed', 'E307', true],
    ['html', 'E307', true],
    ['wrong-shape', 'E307', true],
    ['huge', 'E307', true],
    ['redirect', 'E307', false],
  ])(
    'answer %s: %s, one POST, and found afterwards exactly when it was accepted (T03, T04)',
    async (fault, code, isAccepted) => {
      const world = await simulated({ faults: `parse.create=${fault}` });
      const { service, document } = world;
      expect(await errorOf(service.submit(document, attempt, never))).toMatchObject({ code });
      expect(creates(world)).toHaveLength(1);
      const accepted = creates(world).flatMap(({ made }) => made);
      expect(accepted).toHaveLength(isAccepted ? 1 : 0);
      expect(await service.findByAttempt('attempt-1', around(world), never)).toEqual(accepted);
    },
  );

  it.each(['hang', 'hang-before', 'stall'])('%s: unknown after the time limit, one POST (T03)', async (fault) => {
    const world = await simulated({ faults: `parse.create=${fault}` });
    const { service, document, clock } = world;
    const outcome = errorOf(service.submit(document, attempt, never));
    await expect.poll(() => creates(world).length).toBe(1);
    await clock.advance(120_000);
    expect(await outcome).toMatchObject({ code: 'E307' });
    expect(creates(world)).toHaveLength(1);
  });

  it('finds both of two jobs that one request made, the older first (T05)', async () => {
    const world = await simulated({ faults: 'parse.create=duplicate' });
    await world.service.submit(world.document, attempt, never);
    const [made] = creates(world);
    expect(made?.made).toHaveLength(2);
    expect(new Set(await world.service.findByAttempt('attempt-1', around(world), never))).toEqual(new Set(made?.made));
  });

  it('finds a job that shows up late, once it shows up', async () => {
    const world = await simulated({ faults: 'job=hidden:30s' });
    const { remoteId } = await world.service.submit(world.document, attempt, never);
    expect(await world.service.findByAttempt('attempt-1', around(world), never)).toEqual([]);
    await world.clock.advance(31_000);
    expect(await world.service.findByAttempt('attempt-1', around(world), never)).toEqual([remoteId]);
  });

  it('finds one job among more than a page of the list', async () => {
    const world = await simulated();
    const made: string[] = [];
    for (let count = 0; count < 120; count += 1) {
      const { remoteId } = await world.service.submit(world.document, { ...attempt, attemptId: `a-${count}` }, never);
      made.push(remoteId);
    }
    expect(await world.service.findByAttempt('a-0', around(world), never)).toEqual(made.slice(0, 1));
    expect(world.simulator.log().filter(({ operation }) => operation === 'parse.list')).toHaveLength(2);
  });

  it.each<[string, unknown]>([
    ['failed-pages:2', { number: 2, error: expect.any(String) }],
    ['missing-pages:2', { number: 2, error: 'missing' }],
    ['missing-pages:3', { number: 3, error: 'missing' }],
    ['empty-pages:2', { number: 2, markdown: '' }],
    ['long-pages:2', { number: 2, markdown: expect.any(String), cut: true }],
  ])('tells a result with %s from a whole one', async (fault, expected) => {
    const world = await simulated({ faults: `job=${fault}` });
    const { remoteId } = await world.service.submit(world.document, attempt, never);
    expect(await ended(world, remoteId)).toEqual({ state: 'done' });
    const { pages } = await world.service.fetchResult(remoteId, never, [1, 2, 3]);
    expect(pages.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(pages).toContainEqual(expected);
    expect(pages.filter((page) => 'markdown' in page && page.markdown !== '' && page.cut === undefined)).toHaveLength(
      2,
    );
  });

  it('asks for chosen pages by their numbers in the document, and pays for those alone', async () => {
    const world = await simulated();
    const request = { ...world.document, targetPages: [3, 1] };
    const { remoteId } = await world.service.submit(request, attempt, never);
    await ended(world, remoteId);
    const { pages, creditsBilled } = await world.service.fetchResult(remoteId, never, request.targetPages);
    expect(pages.map((page) => ('markdown' in page ? [page.number, page.markdown.trim()] : page))).toEqual([
      [1, 'apricot'],
      [3, 'cardamom'],
    ]);
    expect(creditsBilled).toBe(6);
    expect(world.simulator.bill()).toMatchObject({ credits: 6 });
  });

  it('takes a price that comes later, and never a zero for one', async () => {
    for (const fault of ['credits-null:2', 'credits-zero:2']) {
      const world = await simulated({ faults: `job=${fault}` });
      const { remoteId } = await world.service.submit(world.document, attempt, never);
      await ended(world, remoteId);
      expect(await world.service.fetchResult(remoteId, never)).toMatchObject({ creditsBilled: null });
      const looks: (number | null)[] = [];
      for (let count = 0; count < 3; count += 1) looks.push(await world.service.usage(remoteId, never));
      expect(looks.at(-1)).toBe(9);
      expect(looks).not.toContain(0);
    }
  });

  it.each<[string, string]>([
    ['PDF_IS_PROTECTED', 'E404'],
    ['TIMEOUT', 'E310'],
  ])('maps the failure %s', async (reason, code) => {
    const world = await simulated({ faults: `job=failed:${reason}` });
    const { remoteId } = await world.service.submit(world.document, attempt, never);
    expect(await ended(world, remoteId)).toMatchObject({ state: 'failed', error: { code } });
  });

  it('asks for a fresh parse where the service would repeat a failure it remembers', async () => {
    const world = await simulated({ faults: 'job=failed:TIMEOUT:cached' });
    const again = async (disableCache: boolean, attemptId: string) => {
      const { remoteId } = await world.service.submit(
        { ...world.document, disableCache },
        { ...attempt, attemptId },
        never,
      );
      return (await ended(world, remoteId)).state;
    };
    expect([await again(false, 'a-1'), await again(false, 'a-2'), await again(true, 'a-3')]).toEqual([
      'failed',
      'failed',
      'done',
    ]);
  });

  it('says gone to a job the service has dropped, and that its result is', async () => {
    const world = await simulated({ faults: 'job=gone' });
    const { remoteId } = await world.service.submit(world.document, attempt, never);
    expect(await world.service.poll(remoteId, 0, never)).toEqual({ state: 'gone' });
    expect(await errorOf(world.service.fetchResult(remoteId, never))).toMatchObject({ code: 'E311' });
  });

  it('takes a refused cancel for nothing left to stop', async () => {
    const world = await simulated({ faults: 'job=cancel-refused', latency: { parse: 60_000 } });
    const { remoteId } = await world.service.submit(world.document, attempt, never);
    await world.service.cancel(remoteId, never);
    expect((await world.service.poll(remoteId, 0, never)).state).not.toBe('failed');
  });

  it('uploads a document once, and again after the service lost it', async () => {
    const world = await simulated();
    const { service, document, simulator } = world;
    await service.submit(document, attempt, never);
    await service.submit(document, { ...attempt, attemptId: 'attempt-2' }, never);
    const uploads = () => simulator.log().filter(({ operation }) => operation === 'files.create');
    expect(uploads()).toHaveLength(1);
    simulator.control.reset();
    await service.submit(document, { ...attempt, attemptId: 'attempt-3' }, never);
    expect(uploads().length).toBeGreaterThan(0);
    expect(JSON.stringify(uploads())).not.toContain('letter');
  });

  it('never lets the key or the secret of a webhook be seen in what it reports', async () => {
    const world = await simulated({ faults: 'parse.create=500' }, { webhook: WEBHOOK });
    const error = await errorOf(world.service.submit(world.document, attempt, never));
    expect(JSON.stringify([error.message, error.why, error.facts, world.reports])).not.toMatch(/llx-|ssss/);
  });
});

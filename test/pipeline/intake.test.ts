/** Many documents taken in at once: order, repeats, refusals, and nothing left behind. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import {
  discardAll,
  freeBytesAt,
  type IntakeOptions,
  type IntakeSource,
  isDone,
  takeIn,
} from '../../src/pipeline/intake.ts';
import { tempDirectory } from '../setup/temp.ts';
import { pipeline } from './harness.ts';

function documents(contents: Record<string, string>): (name: string) => IntakeSource {
  const root = tempDirectory();
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(root, name), content);
  return (name) => ({ kind: 'file', path: join(root, name) });
}

const pdf = (content: string) => `%PDF-1.7\n${content}`;
const OPTIONS: IntakeOptions = { concurrency: 3, failFast: false };
const never = new AbortController().signal;

/** Files that were copied into the store and belong to no document. */
function leftovers(home: string): string[] {
  return readdirSync(join(home, 'storage'), { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [entry.name] : [],
  );
}

describe('takeIn', () => {
  it('gives the checks a signal that any number of them may listen to', async () => {
    const { deps } = pipeline();
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const inspector = {
      async inspect(_path: string, signal: AbortSignal) {
        for (let i = 0; i < 20; i += 1) signal.addEventListener('abort', () => {});
        return { pages: 1, encrypted: false };
      },
    };
    await discardAll(await takeIn({ ...deps, inspector }, [documents({ a: pdf('a') })('a')], OPTIONS, never));
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  describe('room on the disk', () => {
    it('that is too small ends it before anything is copied', async () => {
      const { deps, home } = pipeline();
      const file = documents({ a: pdf('a'.repeat(2_000_000)), b: pdf('b') });
      const inspector = { inspect: () => Promise.reject(new Error('not to be reached')) };
      const taking = (free: number | null) =>
        takeIn({ ...deps, inspector }, ['a', 'b'].map(file), { ...OPTIONS, freeBytes: async () => free }, never);
      await expect(taking(56_000_000)).rejects.toMatchObject({
        code: 'E503',
        why: '2.0 MB of documents need about 56.0 MB, and 56.0 MB are free',
        chargedNanoUsd: 0,
      });
      expect(existsSync(join(home, 'storage'))).toBe(false);
      for (const enough of [56_000_100, null])
        await expect(taking(enough)).rejects.toMatchObject({ code: 'E900', why: 'unexpected: not to be reached' });
    });

    it('is not asked of files that will be refused for their size', async () => {
      const { deps } = pipeline({ settings: { MAX_FILE_MB: 1 } });
      const file = documents({ a: pdf('a'.repeat(2_000_000)) });
      const [taken] = await takeIn(deps, [file('a')], { ...OPTIONS, freeBytes: async () => 1 }, never);
      expect(taken).toMatchObject({ state: 'refused', error: { code: 'E406' } });
    });

    it('is what the file system says', async () => {
      const root = tempDirectory();
      expect(await freeBytesAt(root)).toBeGreaterThan(0);
      expect(await freeBytesAt(join(root, 'missing'))).toBeNull();
    });
  });

  it('answers for each source in its place, whatever order they finish in', async () => {
    const { deps } = pipeline();
    const file = documents({ a: pdf('a'), b: 'text', c: pdf('c'), d: '' });
    const given: IntakeSource = { kind: 'refused', error: new TvdbError('E412', { message: 'a directory' }) };
    const taken = await takeIn(deps, [file('a'), file('b'), given, file('c'), file('d'), file('gone')], OPTIONS, never);
    expect(taken.map((one) => (one.state === 'refused' ? one.error.code : one.state))).toEqual([
      'ready',
      'E402',
      'E412',
      'ready',
      'E403',
      'E410',
    ]);
    await discardAll(taken);
  });

  it('keeps one copy of the same bytes and points the others at it', async () => {
    const { deps, home } = pipeline();
    const file = documents({ a: pdf('same'), b: pdf('other'), c: pdf('same'), d: pdf('same') });
    const taken = await takeIn(deps, ['a', 'b', 'c', 'd'].map(file), OPTIONS, never);
    expect(taken).toMatchObject([
      { state: 'ready' },
      { state: 'ready' },
      { state: 'repeat', of: 0 },
      { state: 'repeat', of: 0 },
    ]);
    expect(leftovers(home)).toHaveLength(2);
    await discardAll(taken);
    expect(leftovers(home)).toEqual([]);
  });

  it('has no more documents in hand than it may', async () => {
    const harness = pipeline();
    const waiting: (() => void)[] = [];
    let inHand = 0;
    let most = 0;
    const inspector = {
      async inspect() {
        inHand += 1;
        most = Math.max(most, inHand);
        // Nobody is done before three are in hand: with fewer at a time this would never end.
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          if (waiting.length === 3) for (const go of waiting.splice(0)) go();
        });
        inHand -= 1;
        return { pages: 1, encrypted: false };
      },
    };
    const names = Array.from({ length: 12 }, (_, index) => String(index));
    const file = documents(Object.fromEntries(names.map((name) => [name, pdf(name)])));
    const counts: number[] = [];
    const taken = await takeIn(
      { ...harness.deps, inspector },
      names.map(file),
      { ...OPTIONS, onTaken: (done) => counts.push(done) },
      never,
    );
    expect(most).toBe(3);
    expect(counts).toEqual(names.map((_, index) => index + 1));
    await discardAll(taken);
  });

  it('takes nothing more after a refusal when told so', async () => {
    const { deps } = pipeline();
    const file = documents({ a: 'text', b: pdf('b'), c: pdf('c') });
    const taken = await takeIn(deps, ['a', 'b', 'c'].map(file), { concurrency: 1, failFast: true }, never);
    expect(taken.map(({ state }) => state)).toEqual(['refused', 'untried', 'untried']);
  });

  it('says how far it came when it is stopped, and leaves nothing behind', async () => {
    const { deps, home } = pipeline();
    const stop = new AbortController();
    const file = documents({ a: pdf('a'), bad: 'text', b: pdf('b'), c: pdf('c') });
    const options = { concurrency: 1, failFast: false, onTaken: (done: number) => done === 2 && stop.abort() };
    const taken = await takeIn(deps, ['a', 'bad', 'b', 'c'].map(file), options, stop.signal);
    expect(taken.map(({ state }) => state)).toEqual(['dropped', 'refused', 'untried', 'untried']);
    expect(leftovers(home)).toEqual([]);
  });

  it.each([
    ['a full disk as E503', Object.assign(new Error('no space'), { code: 'ENOSPC' }), 'E503'],
    ['a bug as E900', new TypeError('undefined is not a function'), 'E900'],
  ])('throws %s, not as the fault of a document, and leaves nothing behind', async (_what, thrown, code) => {
    const { deps, home } = pipeline();
    const inspector = { inspect: () => Promise.reject(thrown) };
    const file = documents({ a: pdf('a'), b: pdf('b') });
    await expect(takeIn({ ...deps, inspector }, ['a', 'b'].map(file), OPTIONS, never)).rejects.toMatchObject({ code });
    expect(leftovers(home)).toEqual([]);
  });
});

it('knows before accepting whether the work is done already', async () => {
  const harness = pipeline();
  const [taken] = await takeIn(harness.deps, [documents({ a: pdf('a') })('a')], OPTIONS, never);
  if (taken?.state !== 'ready') throw new Error('not taken');
  const mock = harness.deps.router.decide('mock');
  expect(await isDone(harness.deps, taken.document, mock)).toBe(false);
  await harness.upload('a');
  expect(await isDone(harness.deps, taken.document, mock)).toBe(false);
  await harness.drain();
  expect(await isDone(harness.deps, taken.document, mock)).toBe(true);
  expect(await isDone(harness.deps, taken.document, harness.deps.router.decide('hybrid'))).toBe(false);
});

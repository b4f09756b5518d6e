/** Many documents taken in at once: order, repeats, refusals, and nothing left behind. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { discardAll, type IntakeOptions, type IntakeSource, isDone, takeIn } from '../../src/pipeline/intake.ts';
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
    let inHand = 0;
    let most = 0;
    const inspector = {
      async inspect() {
        inHand += 1;
        most = Math.max(most, inHand);
        await new Promise((resolve) => setImmediate(resolve));
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
    expect(most).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThan(1);
    expect(counts).toEqual(names.map((_, index) => index + 1));
    await discardAll(taken);
  });

  it('takes nothing more after a refusal when told so', async () => {
    const { deps } = pipeline();
    const file = documents({ a: 'text', b: pdf('b'), c: pdf('c') });
    const taken = await takeIn(deps, ['a', 'b', 'c'].map(file), { concurrency: 1, failFast: true }, never);
    expect(taken.map(({ state }) => state)).toEqual(['refused', 'untried', 'untried']);
  });

  it('leaves nothing behind when it is stopped', async () => {
    const { deps, home } = pipeline();
    const stop = new AbortController();
    const file = documents({ a: pdf('a'), b: pdf('b'), c: pdf('c') });
    const onTaken = () => stop.abort(new TvdbError('E012', { message: 'stopped' }));
    await expect(takeIn(deps, ['a', 'b', 'c'].map(file), { ...OPTIONS, onTaken }, stop.signal)).rejects.toMatchObject({
      code: 'E012',
    });
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

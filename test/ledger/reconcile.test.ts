/** Comparing the ledger with a bill: equal is equal, every planted difference is found. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILT_IN_PRICES } from '../../src/domain/price-book.ts';
import { readProviderLog } from '../../src/ledger/provider-log.ts';
import { compareCharges, type OurCharge, type TheirCharge } from '../../src/ledger/reconcile.ts';

const NOW = Date.UTC(2026, 10, 27);

const ours = (attemptId: string, nanoUsd: number | null, changes: Partial<OurCharge> = {}): OurCharge => ({
  attemptId,
  service: 'llamaparse',
  remoteIds: [`job-${attemptId}`],
  state: nanoUsd === null ? 'unknown' : 'settled',
  nanoUsd,
  provisional: false,
  ...changes,
});
const theirs = (id: string, nanoUsd: number): TheirCharge => ({ service: 'llamaparse', ids: [id], nanoUsd });

describe('compareCharges', () => {
  it('finds no difference where both have the same, by whichever id', () => {
    const found = compareCharges(
      [ours('a', 5), ours('b', 7), ours('c', 0, { state: 'released' })],
      [theirs('a', 5), theirs('job-b', 7)],
    );
    expect(found).toMatchObject({ differences: [], unsettled: [], equal: 3, oursNanoUsd: 12, theirsNanoUsd: 12 });
  });

  it.each([
    ['another sum', [ours('a', 5)], [theirs('a', 6)], { kind: 'amount', oursNanoUsd: 5, theirsNanoUsd: 6 }],
    ['a second bill', [ours('a', 5)], [theirs('a', 5), theirs('job-a', 5)], { kind: 'amount', theirsNanoUsd: 10 }],
    [
      'a charge of nobody',
      [],
      [theirs('z', 4)],
      { kind: 'not_ours', attemptId: null, remoteId: 'z', theirsNanoUsd: 4 },
    ],
    ['a charge that is not billed', [ours('a', 5)], [], { kind: 'not_theirs', oursNanoUsd: 5, theirsNanoUsd: null }],
    [
      'a charge that was given back',
      [ours('a', 0, { state: 'released' })],
      [theirs('a', 5)],
      { kind: 'given_back', oursNanoUsd: 0, theirsNanoUsd: 5 },
    ],
  ])('finds %s', (_what, left, right, difference) => {
    expect(compareCharges(left, right).differences).toMatchObject([difference]);
  });

  it('T05 tells a request from its twin, although the service names one attempt for both', () => {
    const both = [ours('a', 5), ours('twin', 5)];
    const line = (remoteId: string) => ({ service: 'llamaparse' as const, ids: ['a', remoteId], nanoUsd: 5 });
    expect(compareCharges(both, [line('job-a'), line('job-twin')])).toMatchObject({ differences: [], equal: 2 });
    // One that nobody has booked is still found.
    expect(compareCharges(both, [line('job-a'), line('job-twin'), line('job-third')]).differences).toMatchObject([
      { attemptId: 'a', kind: 'amount', oursNanoUsd: 5, theirsNanoUsd: 10 },
    ]);
  });

  it('lists what is unknown or provisional apart, with what the bill has of it', () => {
    const found = compareCharges([ours('a', null), ours('b', 9, { provisional: true })], [theirs('a', 3)]);
    expect(found.differences).toEqual([]);
    expect(found.unsettled.map(({ charge, theirsNanoUsd }) => [charge.attemptId, theirsNanoUsd])).toEqual([
      ['a', 3],
      ['b', null],
    ]);
  });

  it('finds one planted difference among any number of equal ones', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 1, maxLength: 50 }),
        fc.nat(),
        fc.integer({ min: 1, max: 99 }),
        (sums, place, off) => {
          const at = place % sums.length;
          const left = sums.map((sum, index) => ours(String(index), sum));
          const right = sums.map((sum, index) => theirs(String(index), index === at ? sum + off : sum));
          const { differences, equal } = compareCharges(left, right);
          expect(differences.map(({ attemptId }) => attemptId)).toEqual([String(at)]);
          expect(equal).toBe(sums.length - 1);
        },
      ),
    );
  });
});

describe('readProviderLog', () => {
  const read = (text: string) => readProviderLog(text, BUILT_IN_PRICES, NOW);
  const job = { jobId: 'pjb-1', attemptId: 'a', pages: 2, credits: 6, cacheHit: false };
  const request = {
    requestId: 'req_1',
    attemptId: 'b',
    model: 'text-embedding-3-small',
    tokens: 10,
    batchId: null,
    nanoUsd: 200,
  };

  it('reads a bill with jobs and requests', () => {
    expect(
      read(JSON.stringify({ credits: 6, tokens: 10, nanoUsd: 7_500_200, jobs: [job], requests: [request] })),
    ).toEqual([
      { service: 'llamaparse', ids: ['a', 'pjb-1'], nanoUsd: 7_500_000 },
      { service: 'openai', ids: ['b', 'req_1'], nanoUsd: 200 },
    ]);
  });

  it('reads the same rows as a list, as JSON lines and as CSV', () => {
    const wanted = [{ service: 'llamaparse', ids: ['x'], nanoUsd: 3_750_000 }];
    const row = { id: 'x', credits: 3 };
    expect(read(JSON.stringify([row]))).toEqual(wanted);
    expect(read(`${JSON.stringify(row)}\n`)).toEqual(wanted);
    expect(read(`${JSON.stringify(row)}\n${JSON.stringify({ ...row, id: 'y' })}\n`)).toHaveLength(2);
    expect(read('id,credits\r\n"x",3\r\n')).toEqual(wanted);
    expect(read('id,service,usd\nx,llamaparse,0.00375\n')).toEqual(wanted);
  });

  it.each([
    ['', /no rows/],
    ['[]', /no rows/],
    ['[1]', /no record/],
    ['{"a":', /no record/],
    ['[{"credits":3}]', /names no request/],
    ['[{"id":"x"}]', /has no sum/],
    ['[{"id":"x","credits":-3}]', /has no sum/],
    ['[{"id":"x","service":"other","usd":"1"}]', /neither/],
    ['[{"id":"x","model":"gpt-9","tokens":5}]', /no price/],
  ])('refuses %j', (text, why) => {
    expect(() => read(text)).toThrow(why);
  });
});

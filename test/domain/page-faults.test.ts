import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultsOf } from '../../src/domain/page-faults.ts';
import type { ParsedPage } from '../../src/domain/parsed-page.ts';

const text = (number: number): ParsedPage => ({ number, markdown: 'text' });

describe('the faults of a parse', () => {
  it('are none when every page is there with text', () => {
    expect(faultsOf([text(2), text(1)], 2)).toEqual({ failed: [], missing: [], empty: [], cut: [] });
  });

  it('are told apart: failed, missing, empty, cut', () => {
    const pages: ParsedPage[] = [
      { number: 5, error: 'unreadable' },
      { number: 1, markdown: ' \n\t ' },
      { number: 3, markdown: 'x', cut: true },
      text(4),
    ];
    expect(faultsOf(pages, 6)).toEqual({ failed: [5], missing: [2, 6], empty: [1], cut: [3] });
  });

  it('are not looked for in pages the document does not have', () => {
    expect(faultsOf([text(1), { number: 2, error: 'no such page' }], 1)).toEqual({
      failed: [],
      missing: [],
      empty: [],
      cut: [],
    });
  });

  it('of a document without pages are none, and of a parse without pages all', () => {
    expect(faultsOf([], 0).missing).toEqual([]);
    expect(faultsOf([], 3).missing).toEqual([1, 2, 3]);
  });

  it('name each page of the document once at most, in order, and together with the whole pages all of them', () => {
    const page: fc.Arbitrary<ParsedPage> = fc.oneof(
      fc.record({ number: fc.integer({ min: 1, max: 12 }), markdown: fc.constantFrom('', 'text') }),
      fc.record({
        number: fc.integer({ min: 1, max: 12 }),
        markdown: fc.constant('x'),
        cut: fc.constant(true as const),
      }),
      fc.record({ number: fc.integer({ min: 1, max: 12 }), error: fc.constant('failed') }),
    );
    fc.assert(
      fc.property(fc.array(page), fc.integer({ min: 0, max: 12 }), (pages, expected) => {
        const { failed, missing, empty, cut } = faultsOf(pages, expected);
        const all = [failed, missing, empty, cut];
        for (const list of all) expect(list).toEqual([...list].sort((a, b) => a - b));
        const named = all.flat();
        expect(new Set(named).size).toBe(named.length);
        const byNumber = new Map(pages.map((one) => [one.number, one]));
        for (let number = 1; number <= expected; number += 1) {
          const one = byNumber.get(number);
          const whole = one !== undefined && 'markdown' in one && one.markdown.trim() !== '' && one.cut !== true;
          expect(named.includes(number)).toBe(!whole);
        }
        expect(named.every((number) => number >= 1 && number <= expected)).toBe(true);
      }),
    );
  });
});

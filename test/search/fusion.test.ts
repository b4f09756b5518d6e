/** Two rankings become one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fused } from '../../src/search/fusion.ts';

const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

describe('fused', () => {
  it('keeps the order of the cosines when no words are in common', () => {
    const order = fused([
      { name: 'a', score: 0.9, words: 0 },
      { name: 'b', score: 0.5, words: 0 },
      { name: 'c', score: 0.1, words: 0 },
    ]);
    expect(order).toMatchObject([
      { name: 'a', relevance: 1 },
      { name: 'b', relevance: 0.5 },
      { name: 'c', relevance: 0 },
    ]);
  });

  it('puts what is good in both before what is best in one', () => {
    const order = fused([
      { name: 'nearest', score: 0.9, words: 0 },
      { name: 'both', score: 0.8, words: 9 },
      { name: 'worded', score: 0.1, words: 10 },
    ]);
    expect(names(order)).toEqual(['both', 'worded', 'nearest']);
  });

  it('measures nearness from the hundredth chunk, so that ever more far ones change nothing', () => {
    const near = [
      { name: 'near', score: 0.8, words: 0 },
      { name: 'worded', score: 0.3, words: 5 },
    ];
    const far = Array.from({ length: 300 }, (_, index) => ({ name: 'far', score: 0.2 - index / 1e4, words: 0 }));
    const few = fused([...near, ...far.slice(0, 98)]);
    const many = fused([...near, ...far]);
    expect(many.slice(0, 2)).toEqual(few.slice(0, 2));
    expect(many.slice(99).map(({ relevance, score }) => [relevance, score])).toEqual(
      many.slice(99).map((_, index) => [0, far[index + 97]?.score]),
    );
  });

  it('gives the order it got to equals, and nothing for nothing', () => {
    const same = ['a', 'b', 'c'].map((name) => ({ name, score: 0.4, words: 2 }));
    expect(names(fused(same))).toEqual(['a', 'b', 'c']);
    expect(fused([])).toEqual([]);
  });

  it('never puts a candidate before one that beats it in both', () => {
    const candidate = fc.record({
      score: fc.double({ min: -1, max: 1, noNaN: true }),
      words: fc.integer({ min: 0, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 130 }), (list) => {
        const order = fused([...list].sort((a, b) => b.score - a.score));
        for (const [index, one] of order.entries()) {
          const before = order[index - 1];
          if (before !== undefined) expect(one.score > before.score && one.words > before.words).toBe(false);
          expect(one.relevance).toBeLessThanOrEqual(1 + 1e-9);
        }
      }),
      { numRuns: 100 },
    );
  });
});

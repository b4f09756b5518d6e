import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ConsentQuestion, consentFor, pagesAgain, partsOfConsent } from '../../src/domain/consent.ts';

const sums = fc.integer({ min: 0, max: 1_000_000_000 });
const questions: fc.Arbitrary<ConsentQuestion> = fc.record({
  mostNanoUsd: sums,
  autoNanoUsd: sums,
  maxCost: fc.option(sums, { nil: undefined }),
  yes: fc.boolean(),
  ci: fc.boolean(),
  interactive: fc.boolean(),
});

describe('the consent matrix', () => {
  it('gives nothing above the threshold that nobody gave, whatever else is so', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const verdict = consentFor(question);
        const { mostNanoUsd, autoNanoUsd, maxCost, yes, ci, interactive } = question;
        if (verdict.state === 'ask') expect([interactive, ci]).toEqual([true, false]);
        if (verdict.state !== 'given') return;
        if (mostNanoUsd === 0) expect(verdict.by).toBe('not_needed');
        else if (ci) expect(maxCost).toBeDefined();
        else expect(maxCost !== undefined || yes || mostNanoUsd <= autoNanoUsd).toBe(true);
      }),
    );
  });

  it.each([
    [
      { mostNanoUsd: 0, ci: true },
      { state: 'given', by: 'not_needed' },
    ],
    [{ mostNanoUsd: 50 }, { state: 'given', by: 'auto' }],
    [{ mostNanoUsd: 51 }, { state: 'missing', why: 'cannot_ask' }],
    [{ mostNanoUsd: 51, interactive: true }, { state: 'ask' }],
    [
      { mostNanoUsd: 51, yes: true },
      { state: 'given', by: '--yes' },
    ],
    [
      { mostNanoUsd: 51, maxCost: 60 },
      { state: 'given', by: '--max-cost' },
    ],
    [
      { mostNanoUsd: 1, ci: true },
      { state: 'missing', why: 'ci' },
    ],
    [
      { mostNanoUsd: 1, ci: true, yes: true },
      { state: 'missing', why: 'ci' },
    ],
    [
      { mostNanoUsd: 1, ci: true, maxCost: 1 },
      { state: 'given', by: '--max-cost' },
    ],
  ] as const)('%o: %o', (changes, verdict) => {
    const question = { autoNanoUsd: 50, maxCost: undefined, yes: false, ci: false, interactive: false, ...changes };
    expect(consentFor(question)).toEqual(verdict);
  });
});

describe('the parts of a consent', () => {
  it('are never less than asked while they fit the cap, and together never above it', () => {
    fc.assert(
      fc.property(fc.array(sums, { maxLength: 20 }), sums, (parts, cap) => {
        const total = parts.reduce((sum, part) => sum + part, 0);
        const shares = partsOfConsent(parts, cap);
        expect(shares).toHaveLength(parts.length);
        if (total > cap) {
          expect(shares).toEqual(parts.map((part) => Math.min(part, cap)));
          return;
        }
        expect(shares.every((share, index) => share >= (parts[index] ?? 0))).toBe(true);
        expect(shares.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(cap);
      }),
    );
  });

  it('of one document alone are the whole cap; without a cap they are what was asked', () => {
    expect(partsOfConsent([70], 100)).toEqual([100]);
    expect(partsOfConsent([70, 0], undefined)).toEqual([70, 0]);
    expect([1, 10, 11, 24].map(pagesAgain)).toEqual([1, 1, 2, 3]);
  });
});

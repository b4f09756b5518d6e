/** Forms of a word share a stem; words that only look alike do not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stem } from '../../src/domain/stem.ts';

describe('stem', () => {
  it.each([
    ['deductible', 'deductibles'],
    ['reimburse', 'reimbursed', 'reimbursement', 'reimbursements', 'reimbursing'],
    ['policy', 'policies'],
    ['pay', 'pays', 'paying', 'payment', 'payments'],
    ['claim', 'claims', 'claimed', 'claimant'],
    ['stop', 'stops', 'stopped', 'stopping'],
    ['eligible', 'eligibility'],
    ['box', 'boxes'],
    ['cancel', 'cancels', 'cancelation'],
  ])('joins %s and its forms', (...forms) => {
    expect(new Set(forms.map(stem)).size).toBe(1);
  });

  it.each([
    ['miss', 'mis'],
    ['string', 'str'],
    ['bus', 'bu'],
    ['need', 'ne'],
  ])('does not cut %s to %s', (word, cut) => {
    expect(stem(word)).not.toBe(cut);
  });

  it('leaves numbers, short words and other alphabets alone', () => {
    for (const word of ['401k', 'was', 'größen', 'страховка', '']) expect(stem(word)).toBe(word);
  });

  it('is never longer than the word nor shorter than three letters', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'abeinstdy'), minLength: 4, maxLength: 16 }), (word) => {
        expect(stem(word).length).toBeLessThanOrEqual(word.length);
        expect(stem(word).length).toBeGreaterThanOrEqual(3);
      }),
    );
  });
});

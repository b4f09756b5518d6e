/** The rotation keeps lengths and angles. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hadamardRotate } from '../../src/domain/hadamard.ts';

const SIDE = 48;
const integers = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: SIDE, maxLength: SIDE });

function rotated(values: readonly number[]): number[] {
  const vector = Float64Array.from(values);
  hadamardRotate(vector);
  return [...vector];
}

function dot(one: readonly number[], other: readonly number[]): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

describe('hadamardRotate', () => {
  it('multiplies every inner product by the number of dimensions, exactly', () => {
    fc.assert(
      fc.property(integers, integers, (one, other) => {
        expect(dot(rotated(one), rotated(other))).toBe(SIDE * dot(one, other));
      }),
    );
  });

  it.each([12, 48, 1536])('spreads a single value over all of %i dimensions', (side) => {
    for (const position of [0, 1, side - 1]) {
      const values = new Float64Array(side);
      values[position] = 1;
      hadamardRotate(values);
      expect(values.every((value) => Math.abs(value) === 1)).toBe(true);
    }
  });

  it.each([0, 11, 36, 1024])('refuses %i dimensions', (side) => {
    expect(() => hadamardRotate(new Float64Array(side))).toThrow(RangeError);
  });
});

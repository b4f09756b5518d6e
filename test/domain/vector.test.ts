/** The stored form of vectors and the check that guards it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkVector, decodeVector, encodeVector, signBits, unit, vectorSha } from '../../src/domain/vector.ts';

const vectors = fc.float32Array({ minLength: 1, maxLength: 64 });
const directions = fc
  .float32Array({ minLength: 1, maxLength: 64, noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 })
  .filter((vector) => vector.some((value) => Math.abs(value) > 1e-6));

describe('encodeVector and decodeVector', () => {
  it('are little-endian Float32 without header', () => {
    expect(encodeVector(Float32Array.of(1, -2, 0.5)).toString('hex')).toBe('0000803f000000c00000003f');
  });

  it('give every value back', () => {
    fc.assert(
      fc.property(vectors, (vector) => {
        expect(decodeVector(encodeVector(vector))).toEqual(vector);
      }),
    );
  });

  it('read from any position of a larger buffer, and copy', () => {
    fc.assert(
      fc.property(vectors, fc.nat({ max: 7 }), (vector, offset) => {
        const whole = Buffer.concat([Buffer.alloc(offset, 0xaa), encodeVector(vector), Buffer.alloc(3, 0xaa)]);
        const read = decodeVector(whole.subarray(offset, offset + vector.length * 4));
        whole.fill(0);
        expect(read).toEqual(vector);
      }),
    );
  });

  it('refuse a cut value', () => {
    expect(() => decodeVector(Buffer.alloc(7))).toThrow(RangeError);
  });
});

describe('unit', () => {
  it('makes an acceptable vector of anything with a direction', () => {
    fc.assert(
      fc.property(directions, (vector) => {
        expect(checkVector(unit(vector), vector.length)).toBeNull();
      }),
    );
  });

  it('keeps the direction', () => {
    expect([...unit([3, 0, -4])]).toEqual([...Float32Array.of(0.6, 0, -0.8)]);
  });

  it.each([[[0, 0]], [[Number.NaN, 1]], [[Number.POSITIVE_INFINITY, 1]], [[]]])('refuses %j', (vector) => {
    expect(() => unit(vector)).toThrow(RangeError);
  });
});

describe('checkVector', () => {
  it.each([
    ['too short', [1, 0], 'it has 2 dimensions instead of 3'],
    ['too long', [1, 0, 0, 0], 'it has 4 dimensions instead of 3'],
    ['not a number', [1, Number.NaN, 0], 'its value at position 1 is not a finite number'],
    ['infinite', [1, 0, Number.NEGATIVE_INFINITY], 'its value at position 2 is not a finite number'],
    ['zero', [0, 0, 0], 'all its values are zero'],
    ['too large', [1, 1, 0], 'its length is 1.4142 instead of 1'],
    ['a little too small', [0.998, 0, 0], 'its length is 0.9980 instead of 1'],
  ])('names what is wrong with a vector that is %s', (_, vector, reason) => {
    expect(checkVector(vector, 3)).toBe(reason);
  });

  it('accepts the rounding of services', () => {
    expect(checkVector([0.9995, 0, 0], 3)).toBeNull();
    expect(checkVector([0, 1.0005, 0], 3)).toBeNull();
  });
});

describe('signBits', () => {
  it('puts the first dimension in the lowest bit of the first byte', () => {
    const vector = Float32Array.of(1, -1, 0, 2, -0, 1e-30, Number.NaN, 3, -1, 1, 0, 0, 0, 0, 0, 0);
    expect([...signBits(vector)]).toEqual([0b10101001, 0b10]);
  });

  it('refuses dimensions that do not fill bytes', () => {
    expect(() => signBits(new Float32Array(12))).toThrow(RangeError);
  });
});

describe('vectorSha', () => {
  it('tells apart vectors that differ in the last bit', () => {
    const one = encodeVector(Float32Array.of(1, 0.1));
    const other = Buffer.from(one);
    other.writeUInt8(other.readUInt8(4) ^ 1, 4);
    expect(vectorSha(one)).toMatch(/^[0-9a-f]{64}$/);
    expect(vectorSha(other)).not.toBe(vectorSha(one));
  });
});

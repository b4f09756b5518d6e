/** A fixed rotation of 1536-dimensional vectors that spreads every value over all dimensions. */

/** Side of the small factor; 12 x 128 = 1536, and Hadamard matrices of both sides exist. */
const SMALL = 12;
/** Squares modulo 11: the first row of Paley's Hadamard matrix of side 12. */
const SQUARES_MOD_11 = new Set([1, 3, 4, 5, 9]);
const PALEY_12 = paley12();

/** Entry (row, column) of Paley's matrix (construction I for q = 11) is 1 or -1; its rows are orthogonal. */
function paley12(): number[][] {
  return Array.from({ length: SMALL }, (_, row) =>
    Array.from({ length: SMALL }, (_, column) => {
      if (row === 0) return 1;
      if (column === 0) return -1;
      if (row === column) return 1;
      return SQUARES_MOD_11.has((column - row + 11) % 11) ? 1 : -1;
    }),
  );
}

/**
 * Multiplies a vector by the Kronecker product of Hadamard matrices of sides 12 and `length / 12` (a power of two), in
 * place. All angles between vectors stay, all lengths grow by the square root of the number of dimensions. Additions and
 * subtractions only, so the result has the same bits on every machine.
 *
 * Why: hashed n-grams of a short text fill few dimensions, and the sign bits of the many zeros would say nothing.
 * Throws a RangeError for another number of dimensions.
 */
export function hadamardRotate(values: Float64Array): void {
  const large = values.length / SMALL;
  if (!Number.isInteger(Math.log2(large)))
    throw new RangeError(`${values.length} dimensions are not 12 times a power of two`);
  for (let half = 1; half < large; half *= 2) butterflies(values, half);
  const column = new Float64Array(SMALL);
  for (let offset = 0; offset < large; offset += 1) {
    for (let row = 0; row < SMALL; row += 1) column[row] = values[row * large + offset] as number;
    for (let row = 0; row < SMALL; row += 1) {
      const signs = PALEY_12[row] as number[];
      let sum = 0;
      for (let index = 0; index < SMALL; index += 1) sum += (signs[index] as number) * (column[index] as number);
      values[row * large + offset] = sum;
    }
  }
}

/** One step of the fast Walsh-Hadamard transform: blocks of `2 * half` values, sums to the left, differences to the right. */
function butterflies(values: Float64Array, half: number): void {
  for (let start = 0; start < values.length; start += 2 * half) {
    for (let left = start; left < start + half; left += 1) {
      const one = values[left] as number;
      const other = values[left + half] as number;
      values[left] = one + other;
      values[left + half] = one - other;
    }
  }
}

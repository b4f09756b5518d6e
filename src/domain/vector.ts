/** Embedding vectors as values: their stored form, what makes one acceptable, and the sign bits of the coarse index. */
import { sha256 } from '../base/hash.ts';

/** How far from 1 the length of an acceptable vector may be. Services round to 5-7 digits, which moves it by less than 1e-5. */
const NORM_TOLERANCE = 1e-3;

const BYTES_PER_NUMBER = 4;

/** The stored form: Float32, little-endian, without header. */
export function encodeVector(vector: Float32Array): Buffer {
  const buffer = Buffer.alloc(vector.length * BYTES_PER_NUMBER);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  for (const [index, value] of vector.entries()) view.setFloat32(index * BYTES_PER_NUMBER, value, true);
  return buffer;
}

/**
 * Reads the stored form back, bit for bit. Always a copy: a `Float32Array` over a slice of a pooled buffer needs 4-byte
 * alignment, which buffers from the database and the network do not promise. Throws a RangeError for a cut value.
 */
export function decodeVector(buffer: Uint8Array): Float32Array {
  if (buffer.byteLength % BYTES_PER_NUMBER !== 0) {
    throw new RangeError(`${buffer.byteLength} bytes are not a whole number of Float32 values`);
  }
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const vector = new Float32Array(buffer.byteLength / BYTES_PER_NUMBER);
  for (let index = 0; index < vector.length; index += 1) {
    vector[index] = view.getFloat32(index * BYTES_PER_NUMBER, true);
  }
  return vector;
}

/** The vector scaled to length 1 (computed in Float64, rounded once). Throws a RangeError when it has no direction. */
export function unit(vector: ArrayLike<number>): Float32Array {
  const norm = length(vector);
  if (!Number.isFinite(norm) || norm === 0)
    throw new RangeError('a vector without direction cannot be scaled to length 1');
  const scaled = new Float32Array(vector.length);
  for (let index = 0; index < scaled.length; index += 1) scaled[index] = (vector[index] ?? 0) / norm;
  return scaled;
}

/** Why a vector must not be stored or compared, as a phrase for an error message; `null` when it may. */
export function checkVector(vector: ArrayLike<number>, dimensions: number): string | null {
  if (vector.length !== dimensions) return `it has ${vector.length} dimensions instead of ${dimensions}`;
  for (let index = 0; index < dimensions; index += 1) {
    if (!Number.isFinite(vector[index])) return `its value at position ${index} is not a finite number`;
  }
  const norm = length(vector);
  if (norm === 0) return 'all its values are zero';
  if (Math.abs(norm - 1) > NORM_TOLERANCE) return `its length is ${norm.toFixed(4)} instead of 1`;
  return null;
}

/** Fingerprint of a stored vector: SHA-256 over its bytes. */
export function vectorSha(stored: Uint8Array): string {
  return sha256(stored);
}

/**
 * One bit per dimension, set where the value is above zero, eight to a byte with the first in the lowest bit: the order
 * of sqlite-vec's `vec_bit` and `vec_quantize_binary`. Throws a RangeError unless the dimensions are a multiple of 8.
 */
export function signBits(vector: Float32Array): Buffer {
  if (vector.length % 8 !== 0) throw new RangeError(`${vector.length} dimensions do not fill whole bytes`);
  const bits = Buffer.alloc(vector.length / 8);
  for (const [index, value] of vector.entries()) {
    if (value > 0) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  }
  return bits;
}

function length(vector: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < vector.length; index += 1) {
    const value = vector[index] ?? 0;
    sum += value * value;
  }
  return Math.sqrt(sum);
}

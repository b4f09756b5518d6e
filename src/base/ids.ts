/** Random identifiers and numbers, passed in so that tests are deterministic. */

export interface Ids {
  /** A fresh UUIDv4. */
  uuid(): string;
}

/** Random ids of the machine. The global `crypto`, because importing node:crypto costs every start 10 ms. */
export const systemIds: Ids = { uuid: () => crypto.randomUUID() };

/** Randomness for jitter and simulated failures: a number in [0, 1). */
export type Random = () => number;

/** The first 8 hex digits of an id: what people see; any unique prefix of 4 or more is accepted back. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** Things that are made when they are first needed. */

/** Runs `make` at the first call and gives everybody the same result; one that failed is tried again at the next call. */
export function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

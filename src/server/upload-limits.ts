/** How much may come through the HTTP API: so many uploads in 24 hours, so many unfinished jobs at a time. */
import type { UploadDeps } from '../pipeline/staging.ts';
import { apiUsage } from '../store/api-usage.ts';
import { limitReached } from './api-errors.ts';

const DAY_MS = 86_400_000;
/** An unfinished job ends when it ends; a guess. */
const SOON_MS = 5_000;

/** The limits of UPLOADS_PER_DAY and ACTIVE_JOBS_LIMIT over what is stored and what comes in right now. */
export function createUploadLimits({
  store,
  clock,
  settings,
  userId,
}: Pick<UploadDeps, 'store' | 'clock' | 'settings' | 'userId'>) {
  const { UPLOADS_PER_DAY: perDay, ACTIVE_JOBS_LIMIT: most } = settings;
  /** Uploads that were let in and have no job yet, and how many of them have ended so far. */
  let inside = 0;
  let ended = 0;

  /** Throws 429 with the time to come back. */
  const check = async (): Promise<void> => {
    const before = ended;
    const now = clock.now();
    const { recent, oldest, unfinished } = await apiUsage(store.db, userId, now - DAY_MS);
    // One that ended meanwhile may have made its job after the query. Rather count it twice than not at all.
    const coming = inside + ended - before;
    if (recent + coming >= perDay) {
      const wait = oldest === null ? SOON_MS : oldest + DAY_MS - now;
      throw limitReached(`${perDay} uploads in 24 hours are the limit`, wait);
    }
    if (unfinished + coming >= most) throw limitReached(`${most} unfinished jobs at a time are the limit`, SOON_MS);
  };

  return {
    check,
    /** Checks, and holds a place while `work` makes a job. */
    async within<T>(work: () => Promise<T>): Promise<T> {
      await check();
      // Nothing is awaited between the check and this line: two that come together cannot both take the last place.
      inside += 1;
      try {
        return await work();
      } finally {
        inside -= 1;
        ended += 1;
      }
    },
  };
}

export type UploadLimits = ReturnType<typeof createUploadLimits>;

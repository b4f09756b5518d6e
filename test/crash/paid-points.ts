/** The fault points of a run that pays: where `paid-kill.test.ts` kills. */
import { FAULT_POINTS, type FaultPoint } from '../../src/base/fault.ts';

/** Reached with `--economy` alone: `test/cli/economy.test.ts` kills there. */
const ECONOMY: readonly FaultPoint[] = FAULT_POINTS.filter((point) => point.startsWith('economy.'));

/** Reached with services elsewhere alone: the mock reads the stored file itself, and is waited for without a listener. */
export const ONLY_PAID: readonly FaultPoint[] = ['parse.mid_upload', 'webhook.before_commit', ...ECONOMY];

/** Reached only where results come by webhook. */
export const ONLY_WEBHOOK: readonly FaultPoint[] = ['webhook.before_commit'];

/** Every point from the first that a job in the queue meets to the last before it is complete. */
export const PAID_POINTS: readonly FaultPoint[] = FAULT_POINTS.filter(
  (point) => !point.startsWith('upload.') && !point.startsWith('delete.') && !ECONOMY.includes(point),
);
